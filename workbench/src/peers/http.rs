//! A small HTTP/1.1 server: one response for every request, in its pace, and perhaps never to its end.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::filler::Filler;
use super::http_request::{Request, Unfit, head_bytes};
use super::{clock, speech, wire};
use crate::plan::{BodyEnd, Http};

/// A longer head is refused (RFC 6585, 5).
const HEAD_LIMIT_BYTES: usize = 64 << 10;

/// Serves the requests of one connection, one after the other.
pub(super) async fn serve(mut stream: TcpStream, http: &Http) -> io::Result<()> {
    let mut buffer = Vec::new();
    loop {
        let request = match read_head(&mut stream, &mut buffer).await? {
            None => break,
            Some(Ok(request)) => request,
            Some(Err(Unfit(status))) => {
                let head = format!("HTTP/1.1 {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", line(status));
                stream.write_all(head.as_bytes()).await?;
                break;
            }
        };
        if request.expects_continue {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        skip_body(&mut stream, &mut buffer, request.body_bytes).await?;
        clock::sleep(http.delay_ns).await?;
        let has_body = !request.is_head && !matches!(http.status, 204 | 304);
        stream.write_all(head(http, &request).as_bytes()).await?;
        if has_body {
            body(&mut stream, http).await?;
            match http.end {
                None => {}
                Some(BodyEnd::Stall(_)) => return wire::stay(stream).await,
                Some(BodyEnd::Reset(_)) => return wire::reset(stream).await,
                Some(BodyEnd::Close(_)) => break,
            }
        }
        if request.is_last {
            break;
        }
    }
    wire::close(stream);
    Ok(())
}

/// The next request's head, which is taken out of the buffer; `None` at the end of the connection.
async fn read_head(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<Result<Request, Unfit>>> {
    loop {
        if let Some(length) = head_bytes(buffer) {
            let head: Vec<u8> = buffer.drain(..length).collect();
            return Ok(Some(Request::read(&head)));
        }
        if buffer.len() > HEAD_LIMIT_BYTES {
            return Ok(Some(Err(Unfit(431))));
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    }
}

/// Reads a request's body and throws it away.
async fn skip_body(stream: &mut TcpStream, buffer: &mut Vec<u8>, length: u64) -> io::Result<()> {
    let here = length.min(buffer.len() as u64);
    buffer.drain(..here as usize);
    wire::hear_exactly(stream, length - here).await
}

fn head(http: &Http, request: &Request) -> String {
    let mut head = format!("HTTP/1.1 {}\r\n", line(http.status));
    // RFC 9110, 8.6: none with 204.
    if http.status != 204 {
        head.push_str(&format!("Content-Type: text/plain\r\nContent-Length: {}\r\n", http.size));
    }
    if request.is_last {
        head.push_str("Connection: close\r\n");
    }
    head + "\r\n"
}

/// A status with its phrase.
fn line(status: u16) -> String {
    let phrase = match status {
        200 => "OK",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        408 => "Request Timeout",
        411 => "Length Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        // A phrase may be empty (RFC 9112, 4).
        _ => "",
    };
    format!("{status} {phrase}")
}

/// As much of the body as is sent at all.
async fn body(stream: &mut TcpStream, http: &Http) -> io::Result<()> {
    let filler = Filler::new(http.text.as_deref());
    let bytes = match http.end {
        Some(BodyEnd::Stall(at) | BodyEnd::Reset(at) | BodyEnd::Close(at)) => at,
        None => http.size,
    };
    match http.pace {
        Some((each, every_ns)) => speech::pace(stream, &filler, 0, each, every_ns, Some(bytes)).await,
        None => wire::say(stream, &filler, 0, bytes).await,
    }
}
