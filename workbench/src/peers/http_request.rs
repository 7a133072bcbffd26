//! The head of an HTTP/1.1 request (RFC 9112): what a server has to know to answer it and to find the next one.

/// What matters of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    /// HEAD: the response has no body.
    pub is_head: bool,
    /// Length of the body that follows the head.
    pub body_bytes: u64,
    /// The connection ends with the response.
    pub is_last: bool,
    /// The client waits for `100 Continue` before it sends the body (RFC 9110, 10.1.1).
    pub expects_continue: bool,
}

/// A request that cannot be answered as asked: the status that says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unfit(pub u16);

/// Where the head ends, behind its empty line, if it is there.
pub(super) fn head_bytes(buffer: &[u8]) -> Option<usize> {
    buffer.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

impl Request {
    /// Reads a head, which ends with its empty line.
    pub(super) fn read(head: &[u8]) -> Result<Self, Unfit> {
        let head = std::str::from_utf8(head).map_err(|_| Unfit(400))?;
        let mut lines = head.trim_start_matches("\r\n").split("\r\n");
        let words: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
        let &[method, _, version] = &words[..] else { return Err(Unfit(400)) };
        let is_old = version == "HTTP/1.0";
        if !is_old && version != "HTTP/1.1" {
            return Err(Unfit(505));
        }
        let mut request = Self { is_head: method == "HEAD", body_bytes: 0, is_last: is_old, expects_continue: false };
        for line in lines.filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').ok_or(Unfit(400))?;
            request.take(&name.to_ascii_lowercase(), value.trim())?;
        }
        Ok(request)
    }

    fn take(&mut self, name: &str, value: &str) -> Result<(), Unfit> {
        let has = |word: &str| value.split(',').any(|part| part.trim().eq_ignore_ascii_case(word));
        match name {
            "content-length" => self.body_bytes = value.parse().map_err(|_| Unfit(400))?,
            // A body in chunks has no length before its end; a server may ask for one (RFC 9112, 6.3).
            "transfer-encoding" => return Err(Unfit(411)),
            "connection" if has("close") => self.is_last = true,
            "connection" if has("keep-alive") => self.is_last = false,
            "expect" if has("100-continue") => self.expects_continue = true,
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(head: &str) -> Result<Request, Unfit> {
        assert_eq!(head_bytes(head.as_bytes()), Some(head.len()));
        Request::read(head.as_bytes())
    }

    #[test]
    fn a_request_says_how_long_its_body_is_and_whether_it_is_the_last() {
        let post =
            "POST / HTTP/1.1\r\nHost: a\r\ncontent-length: 12\r\nExpect: 100-continue\r\nConnection: a, Close\r\n\r\n";
        let expected = Request { is_head: false, body_bytes: 12, is_last: true, expects_continue: true };
        assert_eq!(read(post), Ok(expected));
        assert!(read("HEAD / HTTP/1.1\r\n\r\n").expect("a request").is_head);
    }

    #[test]
    fn an_older_client_keeps_a_connection_only_if_it_says_so() {
        assert!(read("GET / HTTP/1.0\r\n\r\n").expect("a request").is_last);
        assert!(!read("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").expect("a request").is_last);
    }

    #[test]
    fn what_is_no_request_is_told_by_its_status() {
        for (head, status) in [
            ("GET /\r\n\r\n", 400),
            ("GET / HTTP/2.0\r\n\r\n", 505),
            ("GET / HTTP/1.1\r\nwhat\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
            ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        ] {
            assert_eq!(read(head), Err(Unfit(status)), "{head}");
        }
    }
}
