//! Peers that say so much and then stall, close, reset; those that say nothing; and the one that says it back.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::filler::Filler;
use super::{clock, wire};
use crate::plan::{PeerKind, Speech};

/// Serves a connection until it is over for this peer.
pub(super) async fn serve(mut stream: TcpStream, kind: &PeerKind) -> io::Result<()> {
    match kind {
        PeerKind::Echo => echo(stream).await,
        PeerKind::Hoard => {
            let _unread = stream;
            std::future::pending().await
        }
        PeerKind::Stall(speech) => {
            match say(&mut stream, speech).await {
                // It never closes, whatever the other end does.
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
                Err(error) => return Err(error),
            }
            wire::stay(stream).await
        }
        PeerKind::Drip { speech, every_ns, total } => drip(stream, speech, *every_ns, *total).await,
        PeerKind::Reset(speech) => {
            say(&mut stream, speech).await?;
            wire::reset(stream).await
        }
        PeerKind::Close(speech) => {
            say(&mut stream, speech).await?;
            wire::close(stream);
            Ok(())
        }
        PeerKind::HalfClose(speech) => {
            say(&mut stream, speech).await?;
            stream.shutdown().await?;
            wire::hear_to_the_end(&mut stream).await
        }
        _ => wire::stay(stream).await,
    }
}

/// Waits for what it waits for, says what it says, and waits again.
async fn say(stream: &mut TcpStream, speech: &Speech) -> io::Result<()> {
    wire::hear(stream, speech.received).await?;
    let filler = Filler::new(speech.text.as_deref());
    if speech.bytes == 0 && speech.after_ns == 0 {
        return Ok(());
    }
    wire::while_hearing(stream, async |write| {
        wire::say(write, &filler, 0, speech.bytes).await?;
        clock::sleep(speech.after_ns).await
    })
    .await
}

async fn drip(mut stream: TcpStream, speech: &Speech, every_ns: u64, total: Option<u64>) -> io::Result<()> {
    wire::hear(&mut stream, speech.received).await?;
    let filler = Filler::new(speech.text.as_deref());
    wire::while_hearing(&mut stream, async |write| pace(write, &filler, 0, speech.bytes, every_ns, total).await)
        .await?;
    wire::close(stream);
    Ok(())
}

/// Writes so many bytes every so often, by the clock and not by when the last ones were taken, up to byte `until`.
pub(super) async fn pace<W: AsyncWriteExt + Unpin>(
    write: &mut W,
    filler: &Filler,
    from: u64,
    each: u64,
    every_ns: u64,
    until: Option<u64>,
) -> io::Result<()> {
    let mut at_ns = clock::now_ns();
    let mut said = from;
    loop {
        let length = until.map_or(each, |until| each.min(until.saturating_sub(said)));
        wire::say(write, filler, said, length).await?;
        said += length;
        if until.is_some_and(|until| said >= until) {
            return Ok(());
        }
        at_ns = at_ns.saturating_add(every_ns);
        clock::sleep_until(at_ns).await?;
    }
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            read => stream.write_all(&buffer[..read]).await?,
        }
    }
}
