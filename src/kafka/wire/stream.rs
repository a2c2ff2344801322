//! The seam between a connection and the bytes below it: plain, or encrypted.

use std::io;

use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use super::{connection_error::ConnectionError, diagnostics};
use crate::security::ClientTls;

/// A stream of bytes to a broker.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for T {}

/// Connects to `host:port`. The name is resolved each time: a restarted broker may have moved.
pub(super) async fn dial(
    address: &str,
    tls: Option<&ClientTls>,
) -> Result<Box<dyn Stream>, ConnectionError> {
    let stream = TcpStream::connect(address).await?;
    // Requests are single small writes that wait for their answer: Nagle would only delay them.
    stream.set_nodelay(true)?;
    let Some(tls) = tls else { return Ok(Box::new(stream)) };
    let name = match &tls.server_name {
        Some(name) => name.clone(),
        None => name_in(address).ok_or_else(|| diagnostics::no_name(address))?,
    };
    let connector = TlsConnector::from(tls.config.clone());
    match connector.connect(name, stream).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(error) => Err(handshake_failed(error)),
    }
}

/// The host of `host:port`, as a certificate would name it.
fn name_in(address: &str) -> Option<ServerName<'static>> {
    let (host, _) = address.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(host);
    ServerName::try_from(host.to_owned()).ok()
}

fn handshake_failed(error: io::Error) -> ConnectionError {
    let ending = ConnectionError::from(error);
    // A listener without TLS takes our first bytes for the length of a huge request.
    if ending.is_hang_up() { diagnostics::plain_listener() } else { ending }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_host_without_port_and_brackets() {
        let name = |address| name_in(address).map(|it| it.to_str().into_owned());
        assert_eq!(name("kafka-1.example.com:9092").as_deref(), Some("kafka-1.example.com"));
        assert_eq!(name("127.0.0.1:9092").as_deref(), Some("127.0.0.1"));
        assert_eq!(name("[::1]:9092").as_deref(), Some("::1"));
        assert_eq!(name("not a host:9092"), None);
    }
}
