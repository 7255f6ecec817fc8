//! A client's connection that can be reset on purpose.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A TCP connection. Once its switch is on, closing it tells the client `connection reset` instead of an end.
pub(super) struct Connection {
    stream: TcpStream,
    resets: Arc<AtomicBool>,
}

impl Connection {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            resets: Arc::default(),
        }
    }

    /// The switch that makes it end in a reset.
    pub(super) fn reset_switch(&self) -> Arc<AtomicBool> {
        self.resets.clone()
    }

    /// Whether the client begins a TLS handshake; waits for its first byte.
    pub(super) async fn begins_with_tls(&self) -> io::Result<bool> {
        const HANDSHAKE: u8 = 0x16;
        let mut first = [0];
        Ok(self.stream.peek(&mut first).await? == 1 && first[0] == HANDSHAKE)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.resets.load(Ordering::Relaxed) {
            // With no time to linger, closing sends RST. If that cannot be set the client sees a plain end.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
