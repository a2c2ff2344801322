//! Opens the TCP stream below a connection, with or without TLS.

use std::{future::Future, io, net::SocketAddr, time::Duration};

use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
};
use tokio_rustls::TlsConnector;

use super::{connection_error::ConnectionError, diagnostics};
use crate::{clock::SharedClock, model::MonotonicTime, security::ClientTls};

/// A plain or encrypted stream to a broker.
pub(super) trait BrokerStream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> BrokerStream for T {}

/// Part of the time until the deadline that is kept for the handshakes on an open stream.
const HANDSHAKE_SHARE: u32 = 10;

/// Opens a TCP stream to `host:port`. The name is resolved each time, because a restarted broker
/// may have a new address.
pub(super) async fn dial(
    address: &str,
    clock: &SharedClock,
    deadline: MonotonicTime,
) -> Result<TcpStream, ConnectionError> {
    let addresses: Vec<SocketAddr> = lookup_host(address).await?.collect();
    dial_first(&addresses, clock, deadline, TcpStream::connect).await
}

/// Opens a stream to the first address that answers. Each address gets its share of the time, so
/// that one that swallows packets does not keep us from the next.
async fn dial_first<T, F: Future<Output = io::Result<T>>>(
    addresses: &[SocketAddr],
    clock: &SharedClock,
    deadline: MonotonicTime,
    connect: impl Fn(SocketAddr) -> F,
) -> Result<T, ConnectionError> {
    let remaining = || deadline.0.saturating_sub(clock.monotonic().0);
    let reserve = remaining() / HANDSHAKE_SHARE;
    let mut kind = io::ErrorKind::NotFound;
    let mut problems = Vec::new();

    for (address, left) in addresses.iter().zip((1..=addresses.len()).rev()) {
        let left = u32::try_from(left).unwrap_or(u32::MAX);
        let share = remaining().saturating_sub(reserve) / left;
        let result = tokio::select! {
            biased;
            result = connect(*address) => result,
            () = clock.sleep(share) => Err(no_answer(share)),
        };

        match result {
            Ok(stream) => return Ok(stream),
            Err(error) => {
                kind = error.kind();
                problems.push(format!("{address}: {error}"));
            }
        }
    }

    if problems.is_empty() {
        problems.push("the name has no address".to_owned());
    }

    Err(ConnectionError::Broken(kind, problems.join("; ")))
}

fn no_answer(within: Duration) -> io::Error {
    let seconds = within.as_secs_f64();
    io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {seconds:.1} s"))
}

/// Sets up the stream to `address`.
pub(super) async fn secure(
    stream: TcpStream,
    address: &str,
    tls: Option<&ClientTls>,
) -> Result<Box<dyn BrokerStream>, ConnectionError> {
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
    use std::sync::Arc;

    use super::*;
    use crate::clock::SystemClock;

    /// An address of the name swallowed packets: no snapshot in 58 s, and no error named it.
    #[tokio::test(start_paused = true)]
    async fn an_address_that_does_not_answer_leaves_time_for_the_next() {
        let clock: SharedClock = Arc::new(SystemClock::new());
        let deadline = MonotonicTime(clock.monotonic().0 + Duration::from_millis(200));
        let [dead, good] = ["192.0.2.1:9092", "192.0.2.2:9092"].map(|it| it.parse().unwrap());
        let connect = |address: SocketAddr| async move {
            if address == dead { std::future::pending().await } else { Ok(address) }
        };

        let found = dial_first(&[dead, good], &clock, deadline, connect).await.unwrap();
        assert_eq!(found, good);

        let error = dial_first(&[dead], &clock, deadline, connect).await.unwrap_err();
        let text = error.into_io().to_string();

        assert!(text.starts_with("192.0.2.1:9092: no answer within"), "{text}");
    }

    #[test]
    fn the_server_name_is_the_host_without_port_and_brackets() {
        let name = |address| server_name(address).map(|it| it.to_str().into_owned());
        assert_eq!(name("kafka-1.example.com:9092").as_deref(), Some("kafka-1.example.com"));
        assert_eq!(name("127.0.0.1:9092").as_deref(), Some("127.0.0.1"));
        assert_eq!(name("[::1]:9092").as_deref(), Some("::1"));
        assert_eq!(name("not a host:9092"), None);
    }
}
