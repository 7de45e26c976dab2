//! `IDL_DRSBind` and `IDL_DRSUnbind` ([MS-DRSR] 4.1.3 and 4.1.25).
//!
//! [MS-DRSR]: https://learn.microsoft.com/openspecs/windows_protocols/ms-drsr

use portolan_codec::DecodeError;
use portolan_model::Guid;

use crate::Status;
use crate::ndr::{Reader, Writer};

/// The operation number of `IDL_DRSBind`.
pub const OPNUM_DRS_BIND: u16 = 0;
/// The operation number of `IDL_DRSUnbind`.
pub const OPNUM_DRS_UNBIND: u16 = 1;

/// The context handle that a bind gives ([MS-DRSR] 4.1.3, phDrs).
///
/// [MS-DRSR]: https://learn.microsoft.com/openspecs/windows_protocols/ms-drsr
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrsHandle(pub(super) [u8; 20]);

/// What a side can do ([MS-DRSR] 5.39, `DRS_EXTENSIONS_INT`), as far as it is used here.
///
/// [MS-DRSR]: https://learn.microsoft.com/openspecs/windows_protocols/ms-drsr
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrsExtensions {
    /// The bit mask dwFlags.
    pub flags: u32,
    /// The site of the side.
    pub site: Guid,
    /// The epoch; a client whose epoch is another than the server's is refused by it.
    pub epoch: u32,
}

impl DrsExtensions {
    /// `DRS_EXT_BASE`.
    pub const BASE: u32 = 0x0000_0004;
    /// `DRS_EXT_STRONG_ENCRYPTION`: secrets are encrypted with the session key.
    pub const STRONG_ENCRYPTION: u32 = 0x0000_8000;
    /// `DRS_EXT_GETCHGREQ_V8`.
    pub const GETCHGREQ_V8: u32 = 0x0100_0000;
    /// `DRS_EXT_GETCHGREPLY_V6`.
    pub const GETCHGREPLY_V6: u32 = 0x0400_0000;

    /// What this client can do, at an epoch: 0 at first, and the server's own in a second bind.
    #[must_use]
    pub const fn client(epoch: u32) -> Self {
        Self {
            flags: Self::BASE | Self::STRONG_ENCRYPTION | Self::GETCHGREQ_V8 | Self::GETCHGREPLY_V6,
            site: Guid::NIL,
            epoch,
        }
    }

    /// Whether the side can do all that this client needs.
    #[must_use]
    pub const fn suffices(&self) -> bool {
        let needed = Self::client(0).flags;
        self.flags & needed == needed
    }
}

/// The answer to a bind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrsBound {
    /// What the server can do.
    pub server: DrsExtensions,
    /// The handle for the calls that follow.
    pub handle: DrsHandle,
}

/// The client's side of `IDL_DRSBind`, which may take two: a client that is no domain controller does
/// not know the epoch, and a server whose epoch is another serves no call ([MS-DRSR] 4.1.3.1). It
/// learns it from the answer to the first.
///
/// [MS-DRSR]: https://learn.microsoft.com/openspecs/windows_protocols/ms-drsr
#[derive(Debug)]
pub struct DrsBinding {
    epoch: u32,
}

/// What follows from an answer to a bind.
#[derive(Debug)]
pub enum DrsBindStep {
    /// The stub of the bind at the server's epoch, and what takes its answer.
    Again(Vec<u8>, DrsBinding),
    /// The handle can be used.
    Bound(DrsBound),
}

impl DrsBinding {
    /// Gives the stub of the first bind.
    #[must_use]
    pub fn begin() -> (Vec<u8>, Self) {
        Self::at(0)
    }

    fn at(epoch: u32) -> (Vec<u8>, Self) {
        (encode_bind_request(DrsExtensions::client(epoch)), Self { epoch })
    }

    /// Takes the answer in, or the status of the call when it failed. At most two binds are made: a
    /// server whose epoch is another again is bound to all the same, and refuses calls by itself.
    ///
    /// # Errors
    /// [`DecodeError`] when the stub is no answer.
    pub fn receive(self, stub: &[u8]) -> Result<Result<DrsBindStep, Status>, DecodeError> {
        let bound = match decode_bind_response(stub)? {
            Ok(bound) => bound,
            Err(status) => return Ok(Err(status)),
        };
        if self.epoch == 0 && bound.server.epoch != 0 {
            let (request, binding) = Self::at(bound.server.epoch);
            return Ok(Ok(DrsBindStep::Again(request, binding)));
        }
        Ok(Ok(DrsBindStep::Bound(bound)))
    }
}

/// The stub of `IDL_DRSBind`.
#[must_use]
pub fn encode_bind_request(client: DrsExtensions) -> Vec<u8> {
    let mut out = Writer::new();
    out.referent();
    out.uuid(NTDSAPI_CLIENT);
    out.referent();
    out.count(EXTENSIONS_LENGTH);
    out.count(EXTENSIONS_LENGTH);
    out.u32(client.flags);
    out.uuid(client.site);
    out.u32(0); // Pid
    out.u32(client.epoch);
    out.into_vec()
}

/// Reads the answer to `IDL_DRSBind`, or the status of the call when it failed.
///
/// # Errors
/// [`DecodeError`] when the stub is no answer.
pub fn decode_bind_response(stub: &[u8]) -> Result<Result<DrsBound, Status>, DecodeError> {
    let mut input = Reader::new(stub);
    let mut server = DrsExtensions { flags: 0, site: Guid::NIL, epoch: 0 };
    if input.referent("ppextServer")? {
        let length = input.u32("max_count")?.at_most(EXTENSIONS_OCTETS_MAX)?;
        input.conformance(length, "cb")?;
        let mut extensions = Reader::new(input.octets(length, "rgb")?);
        // A side may send less than the whole structure: what it leaves out is zero (5.39).
        server.flags = extensions.u32("dwFlags")?.unchecked("a bit mask");
        if length >= EXTENSIONS_LENGTH {
            server.site = extensions.uuid("SiteObjGuid")?;
            extensions.u32("Pid")?.unchecked("for debugging only");
            server.epoch = extensions.u32("dwReplEpoch")?.unchecked("compared by the caller");
        }
    }
    input.align(4, "phDrs")?;
    let handle = DrsHandle(input.array("phDrs")?);
    let status = decode_status(input)?;
    Ok(status.success().map(|()| DrsBound { server, handle }))
}

/// The stub of `IDL_DRSUnbind`.
#[must_use]
pub fn encode_unbind_request(handle: DrsHandle) -> Vec<u8> {
    handle.0.to_vec()
}

/// Reads the answer to `IDL_DRSUnbind`.
///
/// # Errors
/// [`DecodeError`] when the stub is no answer.
pub fn decode_unbind_response(stub: &[u8]) -> Result<Status, DecodeError> {
    let mut input = Reader::new(stub);
    input.array::<20>("phDrs")?;
    decode_status(input)
}

fn decode_status(mut input: Reader<'_>) -> Result<Status, DecodeError> {
    let status = Status(input.u32("return value")?.unchecked("any status is legal"));
    input.finish("response")?;
    Ok(status)
}

/// The client that is no domain controller ([MS-DRSR] 5.138, `NTSAPI_CLIENT_GUID`).
///
/// [MS-DRSR]: https://learn.microsoft.com/openspecs/windows_protocols/ms-drsr
const NTDSAPI_CLIENT: Guid = Guid::from_fields(
    0xe24d_201a,
    0x4fd6,
    0x11d1,
    [0xa3, 0xda, 0x00, 0x00, 0xf8, 0x75, 0xae, 0x0d],
);
const EXTENSIONS_LENGTH: usize =
    4 /* dwFlags */ + 16 /* SiteObjGuid */ + 4 /* Pid */ + 4 /* dwReplEpoch */;
/// Octets that a server's extensions may have ([MS-DRSR] 4.1.3: cb is at most 10,000).
///
/// [MS-DRSR]: https://learn.microsoft.com/openspecs/windows_protocols/ms-drsr
const EXTENSIONS_OCTETS_MAX: usize = 10_000;
