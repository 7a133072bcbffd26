//! Peers on UDP ports. There are no connections: who has sent a datagram from an address is answered there.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::UdpSocket;

use super::clock;
use super::dns::{self, Over};
use super::filler::Filler;
use crate::plan::{PeerKind, PeerPlan};

/// Takes datagrams for ever. An error of the socket is an ICMP message about something that was sent (udp(7)).
pub(super) async fn serve(socket: Arc<UdpSocket>, peer: Arc<PeerPlan>) {
    let mut buffer = vec![0; 1 << 16];
    let mut known: BTreeSet<SocketAddr> = BTreeSet::new();
    loop {
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
        let is_new = known.insert(from);
        match &peer.kind {
            PeerKind::Echo => {
                let _ = socket.send_to(&buffer[..length], from).await;
            }
            PeerKind::Stall(speech) if is_new => {
                let _ =
                    socket.send_to(&Filler::new(speech.text.as_deref()).bytes(0, speech.bytes as usize), from).await;
            }
            PeerKind::Drip { .. } if is_new => {
                tokio::spawn(drip(Arc::clone(&socket), Arc::clone(&peer), from));
            }
            PeerKind::Dns { .. } => {
                tokio::spawn(answer(Arc::clone(&socket), Arc::clone(&peer), buffer[..length].to_vec(), from));
            }
            _ => {}
        }
    }
}

async fn drip(socket: Arc<UdpSocket>, peer: Arc<PeerPlan>, to: SocketAddr) -> io::Result<()> {
    let PeerKind::Drip { speech, every_ns, total } = &peer.kind else { return Ok(()) };
    let filler = Filler::new(speech.text.as_deref());
    let mut at_ns = clock::now_ns();
    let mut said = 0;
    while total.is_none_or(|total| said < total) {
        let length = total.map_or(speech.bytes, |total| speech.bytes.min(total - said));
        socket.send_to(&filler.bytes(said, length as usize), to).await?;
        said += length;
        at_ns = at_ns.saturating_add(*every_ns);
        clock::sleep_until(at_ns).await?;
    }
    Ok(())
}

async fn answer(socket: Arc<UdpSocket>, peer: Arc<PeerPlan>, question: Vec<u8>, to: SocketAddr) -> io::Result<()> {
    let PeerKind::Dns { mode, delay_ns } = peer.kind else { return Ok(()) };
    if let Some(answer) = dns::answer(&question, &peer.zone, mode, Over::Udp) {
        clock::sleep(delay_ns).await?;
        socket.send_to(&answer, to).await?;
    }
    Ok(())
}
