//! A scripted name server: what it answers by UDP and by TCP.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, SRV};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};

use crate::LOOPBACK;

/// Records by name and type.
#[derive(Default, Clone)]
pub(crate) struct Zone {
    records: BTreeMap<(String, RecordType), Vec<RData>>,
    /// By UDP, answers are cut off: whoever wants them asks by TCP.
    pub(crate) truncates: bool,
}

impl Zone {
    pub(crate) fn srv(mut self, name: &str, priority: u16, weight: u16, target: &str) -> Self {
        let target = Name::from_ascii(format!("{}.", target.trim_end_matches('.'))).unwrap();
        // The port of a record is not used: the chart has it.
        let data = RData::SRV(SRV::new(priority, weight, 1, target));
        self.records.entry((name.to_owned(), RecordType::SRV)).or_default().push(data);
        self
    }

    pub(crate) fn address(mut self, name: &str, address: IpAddr) -> Self {
        let (kind, data) = match address {
            IpAddr::V4(address) => (RecordType::A, RData::A(A(address))),
            IpAddr::V6(address) => (RecordType::AAAA, RData::AAAA(AAAA(address))),
        };
        self.records.entry((name.to_owned(), kind)).or_default().push(data);
        self
    }

    fn answer(&self, question: &[u8], cut: bool) -> Vec<u8> {
        let mut message = Message::from_vec(question).unwrap();
        let query = message.queries[0].clone();
        let name = query.name().to_ascii().trim_end_matches('.').to_ascii_lowercase();
        message.metadata.message_type = hickory_resolver::proto::op::MessageType::Response;
        message.metadata.recursion_available = true;
        let known = self.records.keys().any(|(held, _)| *held == name);
        if !known {
            message.metadata.response_code = ResponseCode::NXDomain;
        }
        message.metadata.truncation = cut;
        for data in self.records.get(&(name, query.query_type())).into_iter().flatten() {
            if !cut {
                let record = Record::from_rdata(query.name().clone(), 60, data.clone());
                message.answers.push(record);
            }
        }
        message.to_vec().unwrap()
    }

    /// Serves on one port of loopback, by UDP and TCP, until the runtime ends.
    pub(crate) async fn serve(self) -> u16 {
        let (stream, datagram, port) = loop {
            let stream = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
            let port = stream.local_addr().unwrap().port();
            if let Ok(datagram) = UdpSocket::bind((LOOPBACK, port)).await {
                break (stream, datagram, port);
            }
        };
        let zone = Arc::new(self);
        let by_stream = Arc::clone(&zone);
        tokio::spawn(async move {
            let mut question = [0; 4096];
            loop {
                let (length, from) = datagram.recv_from(&mut question).await.unwrap();
                let answer = zone.answer(&question[..length], zone.truncates);
                datagram.send_to(&answer, from).await.unwrap();
            }
        });
        tokio::spawn(async move {
            loop {
                let (mut peer, _) = stream.accept().await.unwrap();
                let zone = Arc::clone(&by_stream);
                tokio::spawn(async move {
                    while let Ok(length) = peer.read_u16().await {
                        let mut question = vec![0; length.into()];
                        peer.read_exact(&mut question).await.unwrap();
                        let answer = zone.answer(&question, false);
                        let length = u16::try_from(answer.len()).unwrap();
                        peer.write_all(&[&length.to_be_bytes(), &answer[..]].concat())
                            .await
                            .unwrap();
                    }
                });
            }
        });
        port
    }
}
