//! One request of the Hub, with its redirects.
//!
//! The token goes to the endpoint only: a file is often on another host, behind an address that is a secret of its own.

use crate::{Error, Token};
use std::io::{self, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;
use ureq::Agent;
use ureq::http::HeaderMap;
use ureq::tls::{RootCerts, TlsConfig};

/// Redirects that one request follows.
const MAX_REDIRECTS: usize = 10;

/// Bytes of a body that are read at once.
const CHUNK: usize = 1 << 18;

/// Sends requests.
#[derive(Debug)]
pub(crate) struct Http {
    agent: Agent,
    endpoint: String,
    token: Option<Token>,
    stall: Duration,
}

/// Why a request has no answer that can be used.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Another request would fail too.
    Fatal(Error),
    /// Another request may succeed, after the time that the server names.
    Retry(Error, Option<Duration>),
}

/// The answer to a request: status 200, 206 or 416.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The address for messages, without the query, which may be a secret.
    pub(crate) address: String,
    /// Headers of the endpoint's own answer, where the file is elsewhere.
    linked: HeaderMap,
    headers: HeaderMap,
    pub(crate) body: Watched,
}

impl Http {
    /// A client. It gives up a connection that sends nothing for the time `stall`.
    pub(crate) fn new(endpoint: &str, token: Option<Token>, stall: Duration) -> Self {
        let roots = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_resolve(Some(stall))
            .timeout_connect(Some(stall))
            .timeout_send_request(Some(stall))
            .timeout_recv_response(Some(stall))
            .user_agent(concat!("ridgeline/", env!("CARGO_PKG_VERSION")))
            .tls_config(roots)
            .build();
        Self { agent: config.into(), endpoint: endpoint.to_owned(), token, stall }
    }

    /// Requests `address`, from byte `from` on.
    pub(crate) fn get(&self, address: &str, from: u64) -> Result<Answer, Failure> {
        let mut address = address.to_owned();
        let mut linked = HeaderMap::new();
        for _ in 0..=MAX_REDIRECTS {
            let response = self.send(&address, from)?;
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            let shown = without_query(&address).to_owned();
            match status {
                200 | 206 | 416 => {
                    let body = Watched::new(response.into_body().into_reader(), self.stall);
                    return Ok(Answer { status, address: shown, linked, headers, body });
                }
                301 | 302 | 303 | 307 | 308 => {
                    let to =
                        self.redirected(&address, headers.get("location").and_then(|it| it.to_str().ok()))?;
                    if origin(&address) == origin(&self.endpoint) {
                        linked.extend(headers);
                    }
                    address = to;
                }
                _ => return Err(failure(status, shown, &headers)),
            }
        }
        let problem = format!("more than {MAX_REDIRECTS} redirects");
        Err(Failure::Fatal(Error::Answer { address: without_query(&address).to_owned(), problem }))
    }

    fn send(&self, address: &str, from: u64) -> Result<ureq::http::Response<ureq::Body>, Failure> {
        let mut request = self.agent.get(address).header("Accept-Encoding", "identity");
        if from > 0 {
            request = request.header("Range", format!("bytes={from}-"));
        }
        if let Some(token) = self.token.as_ref().filter(|_| origin(address) == origin(&self.endpoint)) {
            request = request.header("Authorization", token.header());
        }
        request.call().map_err(|error| {
            let (address, problem) = (without_query(address).to_owned(), error.to_string());
            match error {
                ureq::Error::BadUri(_) | ureq::Error::Http(_) => {
                    Failure::Fatal(Error::Answer { address, problem })
                }
                _ => Failure::Retry(Error::Connection { address, problem }, None),
            }
        })
    }

    /// The address of a redirect, which may not leave HTTPS.
    fn redirected(&self, from: &str, location: Option<&str>) -> Result<String, Failure> {
        let wrong = |problem: &str| {
            let (address, problem) = (without_query(from).to_owned(), problem.to_owned());
            Failure::Fatal(Error::Answer { address, problem })
        };
        let to = resolve(from, location.ok_or_else(|| wrong("a redirect without an address"))?);
        let to = to.ok_or_else(|| wrong("a redirect to an address that is not HTTP"))?;
        if from.starts_with("https:") && !to.starts_with("https:") {
            return Err(wrong("a redirect from HTTPS to plain HTTP, which is not followed"));
        }
        Ok(to)
    }
}

impl Answer {
    /// A header as text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The checksum that the endpoint names, else the `ETag` of the host that sends the file.
    pub(crate) fn etag(&self) -> Option<&str> {
        let linked = self.linked.get("x-linked-etag").and_then(|it| it.to_str().ok());
        linked.or_else(|| self.header("x-linked-etag")).or_else(|| self.header("etag"))
    }

    /// First byte and length of the whole file, of `Content-Range: bytes 5-9/10`.
    pub(crate) fn range(&self) -> Option<(u64, Option<u64>)> {
        let (range, total) = self.header("content-range")?.trim().strip_prefix("bytes ")?.split_once('/')?;
        Some((range.split_once('-')?.0.trim().parse().ok()?, total.trim().parse().ok()))
    }

    /// Bytes of the body.
    pub(crate) fn length(&self) -> Option<u64> {
        self.header("content-length")?.trim().parse().ok()
    }
}

/// The failure of a status that is no success.
fn failure(status: u16, address: String, headers: &HeaderMap) -> Failure {
    let text = |name: &str| headers.get(name).and_then(|it| it.to_str().ok());
    let said = text("x-error-message").or_else(|| text("x-error-code"));
    // A header has no control characters, but any length.
    let message =
        said.map(|it| format!(", {}", it.chars().take(200).collect::<String>())).unwrap_or_default();
    let wait = text("retry-after").and_then(|it| it.trim().parse().ok()).map(Duration::from_secs);
    match status {
        401 | 403 => Failure::Fatal(Error::Denied { address, status, message }),
        404 => Failure::Fatal(Error::Missing { address, message }),
        429 => Failure::Retry(Error::Busy { address, wait: wait.unwrap_or(Duration::from_secs(60)) }, wait),
        408 | 500..=599 => Failure::Retry(Error::Status { address, status, message }, wait),
        _ => Failure::Fatal(Error::Status { address, status, message }),
    }
}

/// Scheme and host of an address, in lower case and without the default port.
fn origin(address: &str) -> Option<String> {
    let (scheme, rest) = address.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let host = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default().to_ascii_lowercase();
    let port = if scheme == "https" { ":443" } else { ":80" };
    Some(format!("{scheme}://{}", host.strip_suffix(port).unwrap_or(&host)))
}

/// The address of a `Location` header, which may be relative. `None` where it is not HTTP. RFC 3986, section 5.2.
fn resolve(base: &str, location: &str) -> Option<String> {
    let lower = location.to_ascii_lowercase();
    if lower.starts_with("https://") || lower.starts_with("http://") {
        return Some(location.to_owned());
    }
    let (scheme, rest) = base.split_once("://")?;
    let host = rest.split(['/', '?', '#']).next()?;
    let path = &rest[host.len()..];
    let path = path.split(['?', '#']).next()?;
    if let Some(other) = location.strip_prefix("//") {
        Some(format!("{scheme}://{other}"))
    } else if location.starts_with('/') {
        Some(format!("{scheme}://{host}{location}"))
    } else if location.split(['/', '?', '#']).next()?.contains(':') {
        None
    } else if location.starts_with('?') {
        Some(format!("{scheme}://{host}{path}{location}"))
    } else {
        let folder = path.rfind('/').map_or("/", |at| &path[..=at]);
        Some(format!("{scheme}://{host}{folder}{location}"))
    }
}

/// An address for messages.
pub(crate) fn without_query(address: &str) -> &str {
    address.split(['?', '#']).next().unwrap_or(address)
}

/// A path with the characters encoded that an address may not have. RFC 3986, section 2.1.
pub(crate) fn encoded(path: &str, keep_slash: bool) -> String {
    let mut out = String::new();
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || byte == b'/' && keep_slash {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// A body whose reader fails where nothing arrives for a time. A thread reads, because a socket would wait without end.
#[derive(Debug)]
pub(crate) struct Watched {
    chunks: Receiver<io::Result<Vec<u8>>>,
    stall: Duration,
    chunk: Vec<u8>,
    at: usize,
}

impl Watched {
    fn new(mut body: impl Read + Send + 'static, stall: Duration) -> Self {
        let (sender, chunks) = sync_channel(4);
        thread::spawn(move || {
            loop {
                let mut chunk = vec![0; CHUNK];
                let read = match body.read(&mut chunk) {
                    Ok(0) => return,
                    Ok(n) => {
                        chunk.truncate(n);
                        Ok(chunk)
                    }
                    Err(error) => Err(error),
                };
                let failed = read.is_err();
                if sender.send(read).is_err() || failed {
                    return;
                }
            }
        });
        Self { chunks, stall, chunk: Vec::new(), at: 0 }
    }
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.chunk.len() {
            (self.chunk, self.at) = match self.chunks.recv_timeout(self.stall) {
                Ok(chunk) => (chunk?, 0),
                Err(RecvTimeoutError::Disconnected) => return Ok(0),
                Err(RecvTimeoutError::Timeout) => {
                    let problem = format!("nothing arrived for {} s", self.stall.as_secs_f64());
                    return Err(io::Error::new(io::ErrorKind::TimedOut, problem));
                }
            };
        }
        let n = buffer.len().min(self.chunk.len() - self.at);
        buffer[..n].copy_from_slice(&self.chunk[self.at..self.at + n]);
        self.at += n;
        Ok(n)
    }
}

#[cfg(test)]
mod tests;
