//! Replication, [MS-DRSR] chapter 4.
//!
//! [MS-DRSR]: https://learn.microsoft.com/openspecs/windows_protocols/ms-drsr

mod section_4_1_10;
mod section_4_1_3;

use portolan_rpc::drsr::{DrsBound, DrsHandle, decode_bind_response};

fn bound() -> DrsBound {
    let stub = include_bytes!("../golden/drs_bind-response.bin");
    decode_bind_response(stub).unwrap().unwrap()
}

fn handle() -> DrsHandle {
    bound().handle
}
