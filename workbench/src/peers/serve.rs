//! The process itself: a runtime of one thread that accepts connections and takes datagrams, for ever.

use std::convert::Infallible;
use std::io;
use std::net;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::runtime::Builder;

use super::open::Opened;
use super::{clock, datagrams, dns, http, speech};
use crate::plan::{PeerKind, PeerPlan};

/// How long accepting rests when the process has no descriptor left.
const REST_NS: u64 = 100_000_000;

/// Serves all peers; `ready` is called when each of them listens. Returns only with an error.
pub(super) fn serve(opened: Vec<Opened>, mut ready: impl FnMut() -> io::Result<()>) -> io::Result<Infallible> {
    let runtime = Builder::new_current_thread().enable_io().build()?;
    runtime.block_on(async {
        // Never accepted from: only kept open.
        let mut kept = Vec::new();
        for Opened { peer, listeners, datagrams } in opened {
            let peer = Arc::new(peer);
            if peer.kind == PeerKind::Backlog {
                kept.extend(listeners);
                continue;
            }
            for listener in listeners {
                let listener = TcpListener::from_std(net::TcpListener::from(listener))?;
                tokio::spawn(accept(listener, Arc::clone(&peer)));
            }
            for socket in datagrams {
                let socket = UdpSocket::from_std(net::UdpSocket::from(socket))?;
                tokio::spawn(datagrams::serve(Arc::new(socket), Arc::clone(&peer)));
            }
        }
        // It stays open: its end is how others learn that this process has one.
        ready()?;
        std::future::pending::<io::Result<Infallible>>().await
    })
}

async fn accept(listener: TcpListener, peer: Arc<PeerPlan>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(converse(stream, Arc::clone(&peer)));
            }
            // A connection that ended before it was accepted (accept(2)) is nobody's business; without a descriptor,
            // the next try would fail as well.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM)) => {
                let _ = clock::sleep(REST_NS).await;
            }
            Err(_) => {}
        }
    }
}

/// Serves one connection. An error is the other end's way to leave.
async fn converse(stream: TcpStream, peer: Arc<PeerPlan>) {
    // What is said goes out when it is said.
    let _ = stream.set_nodelay(true);
    let _ = match &peer.kind {
        PeerKind::Http(http) => http::serve(stream, http).await,
        PeerKind::Dns { mode, delay_ns } => dns::serve(stream, &peer.zone, *mode, *delay_ns).await,
        kind => speech::serve(stream, kind).await,
    };
}
