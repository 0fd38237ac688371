//! The addresses to begin with: `bootstrap.servers` as nodes -1, -2, ...
//!
//! Java's counterpart: `ClientUtils.parseAndValidateAddresses`, which also resolves; here names are
//! resolved when a connection is made, and an entry that cannot be is found out then.
//! Thread: application. Locks: none.

use std::sync::Arc;

use crate::cluster::{Node, NodeId};
use crate::error::{Error, ErrorKind};

/// Reads a comma-separated list of `[proto://]host:port`, IPv6 addresses in brackets.
///
/// # Errors
/// [`ErrorKind::Config`], naming the entry that is not one.
pub(crate) fn parse_bootstrap(servers: &str) -> Result<Vec<Node>, Error> {
    let mut nodes: Vec<Node> = Vec::new();
    for entry in servers.split(',').map(str::trim) {
        // A comma at the end, or two in a row, names nothing.
        if entry.is_empty() {
            continue;
        }
        let (host, port) = parse_entry(entry).map_err(|what| {
            let message = format!(
                "bootstrap.servers: {entry:?} is not host:port: {what}, as in broker-1:9092"
            );
            Error::new(ErrorKind::Config, message)
        })?;
        if nodes
            .iter()
            .any(|node| *node.host == *host && node.port == port)
        {
            log::warn!("bootstrap.servers: {entry} is listed twice");
            continue;
        }
        let id = i32::try_from(nodes.len()).map_or(i32::MIN, |count| -1 - count);
        nodes.push(Node {
            id: NodeId(id),
            host: Arc::from(host),
            port,
            rack: None,
        });
    }
    if nodes.is_empty() {
        let message = "bootstrap.servers: no address is given, as in broker-1:9092,broker-2:9092";
        return Err(Error::new(ErrorKind::Config, message));
    }
    Ok(nodes)
}

fn parse_entry(entry: &str) -> Result<(&str, u16), &'static str> {
    let address = match entry.split_once("://") {
        Some((protocol, address)) => {
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if protocol.is_empty() || !protocol.chars().all(is_name) {
                return Err("what is before :// is not a protocol");
            }
            address
        }
        None => entry,
    };
    let (host, port) = match address.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or("the bracket is not closed")?;
            (host, after.strip_prefix(':').ok_or("the port is missing")?)
        }
        None => address.rsplit_once(':').ok_or("the port is missing")?,
    };
    if host.is_empty() {
        return Err("the host is missing");
    }
    if !address.starts_with('[') && host.contains(':') {
        return Err("an IPv6 address goes in brackets");
    }
    if host
        .chars()
        .any(|c| c.is_whitespace() || c.is_control() || "/@?#[]".contains(c))
    {
        return Err("the host has characters that no host has");
    }
    // `parse` would also take a sign.
    let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse::<u16>() {
        Ok(port) if is_number && port > 0 => Ok((host, port)),
        _ => Err("the port is not a number from 1 to 65535"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_bootstrap_of_all_forms_gives_nodes_from_minus_one_down() {
        let servers = "a:9092, PLAINTEXT://b.example:1,[::1]:9093,SASL_SSL://[fe80::1%eth0]:65535,";
        let nodes: Vec<_> = parse_bootstrap(servers)
            .unwrap()
            .into_iter()
            .map(|node| (node.id.0, node.host.to_string(), node.port))
            .collect();
        assert_eq!(
            nodes,
            [
                (-1, "a".to_owned(), 9092),
                (-2, "b.example".to_owned(), 1),
                (-3, "::1".to_owned(), 9093),
                (-4, "fe80::1%eth0".to_owned(), 65535),
            ]
        );
    }

    #[test]
    fn parse_bootstrap_of_a_repeated_entry_takes_it_once() {
        assert_eq!(parse_bootstrap("a:1,b:1,a:1").unwrap().len(), 2);
    }

    #[test]
    fn parse_bootstrap_of_malformed_entries_names_entry_and_key() {
        for entry in [
            "a",
            "a:",
            ":9092",
            "a:b",
            "a:0",
            "a:65536",
            "a:-1",
            "a:+1",
            "::1:9092",
            "[::1]",
            "[::1:9",
            "[]:1",
            "a b:1",
            "://a:1",
            "a://",
            "http://a:1/x",
            "u@a:1",
            "[::1]x:1",
            "a:1:2",
        ] {
            let error = parse_bootstrap(&format!("good:9092,{entry}")).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{entry}");
            let text = error.to_string();
            assert!(
                text.contains("bootstrap.servers") && text.contains(&format!("{entry:?}")),
                "{text}"
            );
        }
    }

    #[test]
    fn parse_bootstrap_of_nothing_is_an_error() {
        for servers in ["", " ", ",", " , "] {
            let error = parse_bootstrap(servers).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
        }
    }
}
