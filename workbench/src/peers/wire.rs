//! What the peers do with a TCP connection: hearing it out, writing, ending it one way or the other.

use std::io;
use std::os::fd::AsFd;

use nix::sys::socket::{setsockopt, sockopt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::ReadHalf;

use super::clock;
use super::filler::Filler;
use crate::sys::tcp_queue;

/// How much is read or written at once.
const PIECE_BYTES: usize = 64 << 10;

/// The first pause of those that wait for an acknowledgement; each is twice as long as the one before, up to the last.
const PAUSES_NS: (u64, u64) = (500_000, 128_000_000);

/// Reads until so many bytes have come. `UnexpectedEof` if the other end has nothing more to say.
pub(super) async fn hear(stream: &mut TcpStream, bytes: u64) -> io::Result<()> {
    let mut buffer = vec![0; PIECE_BYTES];
    let mut heard = 0;
    while heard < bytes {
        match stream.read(&mut buffer).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => heard += read as u64,
        }
    }
    Ok(())
}

/// Reads so many bytes and none of what follows them.
pub(super) async fn hear_exactly(stream: &mut TcpStream, bytes: u64) -> io::Result<()> {
    let read = tokio::io::copy(&mut stream.take(bytes), &mut tokio::io::sink()).await?;
    if read == bytes { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// Does `work` with the writing half while all that comes is read. Ends with an error when the connection does.
pub(super) async fn while_hearing<T>(
    stream: &mut TcpStream,
    work: impl AsyncFnOnce(&mut tokio::net::tcp::WriteHalf<'_>) -> io::Result<T>,
) -> io::Result<T> {
    let (mut read, mut write) = stream.split();
    tokio::select! {
        biased;
        error = hear_out(&mut read) => Err(error),
        done = work(&mut write) => done,
    }
}

/// Reads for ever; the end of what is said is no end.
async fn hear_out(read: &mut ReadHalf<'_>) -> io::Error {
    let mut buffer = vec![0; PIECE_BYTES];
    loop {
        match read.read(&mut buffer).await {
            Ok(0) => return std::future::pending().await,
            Ok(_) => {}
            Err(error) => return error,
        }
    }
}

/// Reads until the other end has nothing more to say.
pub(super) async fn hear_to_the_end(stream: &mut TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; PIECE_BYTES];
    while stream.read(&mut buffer).await? > 0 {}
    Ok(())
}

/// Keeps a connection open and reads, until it is reset.
pub(super) async fn stay(mut stream: TcpStream) -> io::Result<()> {
    while_hearing(&mut stream, async |_| std::future::pending().await).await
}

/// Writes so many bytes of a stream, from its byte `from` on.
pub(super) async fn say<W: AsyncWriteExt + Unpin>(
    write: &mut W,
    filler: &Filler,
    from: u64,
    bytes: u64,
) -> io::Result<()> {
    let mut said = 0;
    while said < bytes {
        let length = (bytes - said).min(PIECE_BYTES as u64) as usize;
        write.write_all(&filler.bytes(from + said, length)).await?;
        said += length as u64;
    }
    Ok(())
}

/// Closes so that the other end gets a FIN: with something unread it would be a RST (RFC 2525, 2.17).
pub(super) fn close(stream: TcpStream) {
    let mut buffer = vec![0; PIECE_BYTES];
    while stream.try_read(&mut buffer).is_ok_and(|read| read > 0) {}
}

/// Resets, once all that was said has been acknowledged: a reset throws away what waits to be sent.
pub(super) async fn reset(mut stream: TcpStream) -> io::Result<()> {
    let mut pause_ns = PAUSES_NS.0;
    while tcp_queue::unacknowledged_bytes(stream.as_fd())? > 0 {
        while_hearing(&mut stream, async |_| clock::sleep(pause_ns).await).await?;
        pause_ns = (pause_ns * 2).min(PAUSES_NS.1);
    }
    setsockopt(&stream, sockopt::Linger, &libc::linger { l_onoff: 1, l_linger: 0 })?;
    Ok(())
}
