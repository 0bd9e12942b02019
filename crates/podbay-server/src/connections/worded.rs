//! The HTTP library's own answers, in our words.
//!
//! What it cannot read as a request the library answers itself, with a status and an empty body:
//! no handler is asked, and no setting changes that. Here such an answer gets the body that every
//! other error has. It is the last one of its connection, and the client may still be sending: that
//! is read on for a while, because bytes that are left unread turn the end into a reset, and a
//! client that is reset forgets the answer.

use podbay_api::ErrorBody;
use podbay_core::limits::{HEAD_BYTES_MAX, REFUSED_BYTES_MAX, REFUSED_WAIT_MAX};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// A stream on which the library's own answers get a body.
pub(super) struct Worded<S> {
    stream: S,
    /// What is sent in place of the library's answer, and how much of it was.
    answer: Option<(Vec<u8>, usize)>,
    /// When the client is not read on any longer, and what it may still send.
    linger: Option<(Pin<Box<Sleep>>, usize)>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Worded<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, answer: None, linger: None }
    }

    fn poll_answer(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some((answer, sent)) = &mut self.answer {
            if *sent == answer.len() {
                break;
            }
            *sent += ready!(Pin::new(&mut self.stream).poll_write(context, &answer[*sent..]))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Reads and forgets, until the client has ended or has had enough patience.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let (until, left) = self
            .linger
            .get_or_insert_with(|| (Box::pin(tokio::time::sleep(REFUSED_WAIT_MAX)), REFUSED_BYTES_MAX));
        let mut bytes = [0; 8 * 1024];
        loop {
            if until.as_mut().poll(context).is_ready() {
                return Poll::Ready(());
            }
            let mut buffer = ReadBuf::new(&mut bytes);
            let read = ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer));
            let count = buffer.filled().len();
            *left = left.saturating_sub(count);
            if read.is_err() || count == 0 || *left == 0 {
                return Poll::Ready(());
            }
        }
    }
}

/// More than the library's own answers have. What is longer is not even looked at.
const OWN_BYTES_MAX: usize = 512;

/// The answer with a body, if `bytes` are one of the library's own.
fn worded(bytes: &[u8]) -> Option<Vec<u8>> {
    const EMPTY: &str = "content-length: 0\r\n";
    if bytes.len() > OWN_BYTES_MAX {
        return None;
    }
    let head = std::str::from_utf8(bytes).ok()?.strip_suffix("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.get(2..5)?;
    let detail = match status {
        "400" => "this is no valid HTTP/1.1 request".to_owned(),
        "414" | "431" => {
            format!(
                "the address and the headers of a request may have {HEAD_BYTES_MAX} bytes together, and 100 headers"
            )
        }
        _ => return None,
    };
    let head = format!("{head}\r\n");
    let (before, after) = head.split_once(EMPTY)?;
    let body = serde_json::to_string(&ErrorBody::plain(detail)).ok()?;
    let length = body.len();
    Some(
        format!("{before}content-type: application/json\r\ncontent-length: {length}\r\n{after}\r\n{body}")
            .into_bytes(),
    )
}

impl<S: AsyncRead + Unpin> AsyncRead for Worded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Worded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Some(answer) = worded(bytes) {
            self.answer = Some((answer, 0));
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // An answer of the library is alone: it has no body.
        if let [only] = slices {
            return self.poll_write(context, only);
        }
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_answer(context))?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_answer(context))?;
        ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
        if self.answer.is_some() {
            ready!(self.poll_linger(context));
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_librarys_own_answers_are_replaced() {
        let own = "HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\
                   date: x\r\n\r\n";
        let text = String::from_utf8(worded(own.as_bytes()).unwrap()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with(&format!("content-length: {}\r\ndate: x", body.len())), "{text}");
        assert!(head.starts_with("HTTP/1.1 431 ") && body.starts_with("{\"detail\":\"the address"), "{text}");
        for other in [
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\n{}",
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 10\r\n\r\n",
            "content-length: 0\r\n\r\n",
            "HTTP/1.",
            "",
        ] {
            assert!(worded(other.as_bytes()).is_none(), "{other}");
        }
    }
}
