//! Peers on loopback: brokers as far as these tests need them, and what is no broker at all.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use bytes::BytesMut;
use kafka_protocol::messages as theirs;
use kafka_protocol::protocol::{Encodable, StrBytes};

use crate::client::Resolver;

#[derive(Debug, Clone, Copy)]
pub(super) enum Behaviour {
    /// Answers ApiVersions, Metadata and Produce.
    Broker,
    /// A broker that never answers Produce.
    MuteProduce,
    /// Accepts, and says nothing.
    Silent,
    /// Accepts, reads the first request, and closes.
    HangUp,
    /// Answers the first request by these bytes.
    Say(&'static [u8]),
    WrongCorrelationId,
    CutOff,
}

/// Listens until it is dropped; its connections end then as well.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) address: String,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    behaviour: Behaviour,
    port: u16,
    /// The port of node 2, if metadata names one.
    another: AtomicU16,
    /// `None`: the peer is gone.
    connections: Mutex<Option<Vec<TcpStream>>>,
}

impl Peer {
    pub(super) fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            behaviour,
            port: address.port(),
            another: AtomicU16::new(0),
            connections: Mutex::new(Some(Vec::new())),
        });
        let of_thread = Arc::clone(&shared);
        thread::Builder::new()
            .spawn(move || of_thread.accept(&listener))
            .unwrap();
        Self {
            address: address.to_string(),
            shared,
        }
    }

    pub(super) fn names_another(&self, peer: &Self) {
        self.shared
            .another
            .store(peer.shared.port, Ordering::SeqCst);
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let connections = self.shared.connections.lock().unwrap().take();
        for connection in connections.into_iter().flatten() {
            let _ = connection.shutdown(std::net::Shutdown::Both);
        }
        // Ends the accept; the thread sees that the peer is gone.
        let _ = TcpStream::connect(&self.address);
    }
}

impl Shared {
    fn accept(self: Arc<Self>, listener: &TcpListener) {
        while let Ok((connection, _)) = listener.accept() {
            let Ok(of_thread) = connection.try_clone() else {
                return;
            };
            match &mut *self.connections.lock().unwrap() {
                Some(connections) => connections.push(connection),
                None => return,
            }
            let shared = Arc::clone(&self);
            thread::Builder::new()
                .spawn(move || {
                    let _ = shared.serve(of_thread);
                })
                .unwrap();
        }
    }

    fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        loop {
            let mut length = [0; 4];
            stream.read_exact(&mut length)?;
            let mut request = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
            stream.read_exact(&mut request)?;
            let i16_at = |at: usize| i16::from_be_bytes([request[at], request[at + 1]]);
            let (api_key, version) = (i16_at(0), i16_at(2));
            let mut id = i32::from_be_bytes(request[4..8].try_into().unwrap());
            let mut body = match api_key {
                18 => api_versions(version),
                3 => self.metadata(version),
                _ => body(&theirs::ProduceResponse::default(), version, version >= 9),
            };
            match self.behaviour {
                Behaviour::Broker => {}
                Behaviour::MuteProduce if api_key == 0 => continue,
                Behaviour::MuteProduce => {}
                Behaviour::Silent => continue,
                Behaviour::HangUp => return stream.shutdown(std::net::Shutdown::Both),
                Behaviour::Say(bytes) => {
                    stream.write_all(bytes)?;
                    continue;
                }
                Behaviour::WrongCorrelationId => id += 1,
                Behaviour::CutOff => body.truncate(9),
            }
            let length = u32::try_from(body.len() + 4).unwrap();
            let frame = [&length.to_be_bytes()[..], &id.to_be_bytes(), &body].concat();
            stream.write_all(&frame)?;
        }
    }

    fn metadata(&self, version: i16) -> Vec<u8> {
        use theirs::metadata_response as parts;
        let another = self.another.load(Ordering::SeqCst);
        let ports = [(1, self.port), (2, another)];
        let brokers = ports
            .into_iter()
            .filter(|(_, port)| *port > 0)
            .map(|(id, port)| {
                parts::MetadataResponseBroker::default()
                    .with_node_id(theirs::BrokerId(id))
                    .with_host(StrBytes::from_static_str("127.0.0.1"))
                    .with_port(i32::from(port))
            });
        let partition = parts::MetadataResponsePartition::default()
            .with_leader_id(theirs::BrokerId(1))
            .with_leader_epoch(0);
        let topic = parts::MetadataResponseTopic::default()
            .with_name(Some(theirs::TopicName(StrBytes::from_static_str("t"))))
            .with_partitions(vec![partition]);
        let response = theirs::MetadataResponse::default()
            .with_brokers(brokers.collect())
            .with_topics(vec![topic]);
        body(&response, version, version >= 9)
    }
}

fn api_versions(version: i16) -> Vec<u8> {
    let keys = [(0, 3, 12), (3, 1, 12), (18, 0, 4)].map(|(key, min, max)| {
        theirs::api_versions_response::ApiVersion::default()
            .with_api_key(key)
            .with_min_version(min)
            .with_max_version(max)
    });
    let response = theirs::ApiVersionsResponse::default().with_api_keys(keys.to_vec());
    body(&response, version, false)
}

fn body(message: &impl Encodable, version: i16, has_tagged_header: bool) -> Vec<u8> {
    let mut out = BytesMut::new();
    if has_tagged_header {
        out.extend_from_slice(&[0]);
    }
    message
        .encode(&mut out, version)
        .expect("it can be written");
    out.to_vec()
}

/// Knows one name.
pub(super) struct TableResolver(&'static str);

impl TableResolver {
    pub(super) fn new(name: &'static str) -> Self {
        Self(name)
    }
}

impl Resolver for TableResolver {
    fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        if host == self.0 {
            Ok(vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))])
        } else {
            Err(io::Error::new(
                io::ErrorKind::NotFound,
                "the table does not have it",
            ))
        }
    }
}
