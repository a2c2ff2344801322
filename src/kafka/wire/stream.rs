//! Opens the TCP stream below a connection, with or without TLS.

use std::io;

use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use super::{connection_error::ConnectionError, diagnostics};
use crate::security::ClientTls;

/// A plain or encrypted stream to a broker.
pub(super) trait BrokerStream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> BrokerStream for T {}

/// Connects to `host:port`. The name is resolved each time, because a restarted broker may have a
/// new address.
pub(super) async fn connect(
    address: &str,
    tls: Option<&ClientTls>,
) -> Result<Box<dyn BrokerStream>, ConnectionError> {
    let stream = TcpStream::connect(address).await?;
    // Requests are single small writes that wait for their response: Nagle would only delay them.
    stream.set_nodelay(true)?;

    let Some(tls) = tls else { return Ok(Box::new(stream)) };
    let name = match &tls.server_name {
        Some(name) => name.clone(),
        None => server_name(address).ok_or_else(|| diagnostics::no_server_name(address))?,
    };

    let connector = TlsConnector::from(tls.config.clone());

    match connector.connect(name, stream).await {
        Ok(stream) => Ok(Box::new(stream)),
        Err(error) => Err(handshake_failed(error)),
    }
}

/// The host of `host:port`, as a certificate names it.
fn server_name(address: &str) -> Option<ServerName<'static>> {
    let (host, _) = address.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(host);
    ServerName::try_from(host.to_owned()).ok()
}

fn handshake_failed(error: io::Error) -> ConnectionError {
    let error = ConnectionError::from(error);
    // A plain-text listener reads our ClientHello as the length of a huge request, and closes.
    if error.is_disconnect() { diagnostics::plaintext_listener() } else { error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_name_is_the_host_without_port_and_brackets() {
        let name = |address| server_name(address).map(|it| it.to_str().into_owned());
        assert_eq!(name("kafka-1.example.com:9092").as_deref(), Some("kafka-1.example.com"));
        assert_eq!(name("127.0.0.1:9092").as_deref(), Some("127.0.0.1"));
        assert_eq!(name("[::1]:9092").as_deref(), Some("::1"));
        assert_eq!(name("not a host:9092"), None);
    }
}
