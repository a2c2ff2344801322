//! The seam between a connection and the bytes below it. TLS and SASL go here.

use std::io;

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

/// An authenticated stream of bytes to a broker.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for T {}

/// Connects to `host:port`. The name is resolved each time: a restarted broker may have moved.
pub(super) async fn dial(address: &str) -> io::Result<impl Stream> {
    let stream = TcpStream::connect(address).await?;
    // Requests are single small writes that wait for their answer: Nagle would only delay them.
    stream.set_nodelay(true)?;
    Ok(stream)
}
