//! What an engine's refusal means.
//!
//! Docker and Podman answer with a status and a sentence, and disagree about the status (Podman
//! says 500 where Docker says 409 or 404). So the sentence decides, by the first row of a table
//! that matches, and the status only where no row does. Whether a call may have had an effect is
//! decided before that: only a complete answer is a refusal; a broken connection is Unknown,
//! unless it never came about.

use bollard::errors::Error;
use podbay_core::pod::{CallError, FailureCode};
use std::io;

/// Longest text of an engine that is passed on, in characters.
const TEXT_CHARS_MAX: usize = 400;

struct Row {
    /// Any of these, in lower case.
    says: &'static [&'static str],
    code: FailureCode,
    permanent: bool,
    /// What to say before the engine's own words.
    because: &'static str,
}

const fn row(
    says: &'static [&'static str],
    code: FailureCode,
    permanent: bool,
    because: &'static str,
) -> Row {
    Row { says, code, permanent, because }
}

/// Calls about machines. Order matters: the specific before the general.
const MACHINE: &[Row] = &[
    row(
        &["no space left on device", "disk quota exceeded"],
        FailureCode::DiskFull,
        false,
        "the host's disk is full",
    ),
    row(
        &[
            "address already in use",
            "port is already allocated",
            "ports are not available",
            "failed to bind host port",
        ],
        FailureCode::PortTaken,
        false,
        "a host port is taken by another program",
    ),
    row(&["exec format error"], FailureCode::ImagePlatform, true, "the image is for another platform"),
    row(
        &["no such image", "image not known"],
        FailureCode::ImageNotFound,
        false,
        "the image is not on the host any more",
    ),
    row(
        &["no such container", "no container with name"],
        FailureCode::MachineLost,
        false,
        "the machine is not there any more",
    ),
    row(
        &["no such file or directory", "executable file not found", "not a directory"],
        FailureCode::Engine,
        true,
        "the machine cannot be started",
    ),
];

/// Fetching an image. Trouble with the network comes first: its sentences quote the URL, and a
/// URL may contain any word.
const IMAGE: &[Row] = &[
    row(
        &["no space left on device", "disk quota exceeded"],
        FailureCode::DiskFull,
        false,
        "the host's disk is full",
    ),
    row(
        &[
            "toomanyrequests",
            "too many requests",
            "i/o timeout",
            "no such host",
            "connection refused",
            "connection reset",
            "network is unreachable",
            "server misbehaving",
            "tls handshake",
            "context deadline exceeded",
            "unexpected eof",
            "internal server error",
            "bad gateway",
            "service unavailable",
        ],
        FailureCode::ImagePull,
        false,
        "the registry could not be reached",
    ),
    row(
        &["invalid reference format", "invalid reference", "repository name must be lowercase"],
        FailureCode::ImageReference,
        true,
        "this is no image reference",
    ),
    row(
        &[
            "no matching manifest",
            "no image found in manifest list",
            "no image found in image index",
            "does not match the specified platform",
        ],
        FailureCode::ImagePlatform,
        true,
        "the image does not exist for this machine's platform",
    ),
    row(
        &["unauthorized", "denied", "authentication required", "no basic auth credentials", "forbidden"],
        FailureCode::ImageDenied,
        true,
        "the registry wants other credentials, or the image does not exist",
    ),
    row(
        &["manifest unknown", "name unknown", "not found", "no such image", "image not known"],
        FailureCode::ImageNotFound,
        true,
        "there is no such image",
    ),
];

/// One line, and not too long: it ends up in a row and in a user's terminal.
pub(super) fn trim(text: &str) -> String {
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = line.char_indices().nth(TEXT_CHARS_MAX) {
        line.truncate(end);
        line.push('…');
    }
    line
}

/// A refusal without words of the engine.
pub(super) fn refused(code: FailureCode, permanent: bool, text: impl Into<String>) -> CallError {
    CallError::Refused { code, permanent, text: text.into() }
}

/// The answer `status` and `text` to a call about a machine.
pub(super) fn machine(status: u16, text: &str) -> CallError {
    if let Some(known) = look_up(MACHINE, text) {
        return known;
    }
    match status {
        // Another call on the same machine is under way.
        409 => CallError::Unknown(trim(text)),
        400 => refused(FailureCode::Engine, true, format!("the engine refused: {}", trim(text))),
        404 => refused(
            FailureCode::MachineLost,
            false,
            format!("the machine is not there any more: {}", trim(text)),
        ),
        _ => refused(FailureCode::Engine, false, format!("the engine failed: {}", trim(text))),
    }
}

/// The answer to a fetch. Podman begins every one with 200, so there may be no status.
pub(super) fn image(status: Option<u16>, text: &str) -> CallError {
    if let Some(known) = look_up(IMAGE, text) {
        return known;
    }
    match status {
        Some(404) => {
            refused(FailureCode::ImageNotFound, true, format!("there is no such image: {}", trim(text)))
        }
        _ => {
            refused(FailureCode::ImagePull, false, format!("the image could not be fetched: {}", trim(text)))
        }
    }
}

fn look_up(table: &[Row], text: &str) -> Option<CallError> {
    let lower = text.to_lowercase();
    let row = table.iter().find(|row| row.says.iter().any(|words| lower.contains(words)))?;
    Some(refused(row.code, row.permanent, format!("{}: {}", row.because, trim(text))))
}

/// An error of the client library, for a call about a machine.
pub(super) fn machine_call(error: Error) -> CallError {
    match error {
        Error::DockerResponseServerError { status_code, message } => machine(status_code, &message),
        other => transport(&other),
    }
}

/// An error of the client library, for a fetch.
pub(super) fn image_call(error: Error) -> CallError {
    match error {
        Error::DockerResponseServerError { status_code, message } => image(Some(status_code), &message),
        Error::DockerStreamError { error } => image(None, &error),
        other => transport(&other),
    }
}

/// No answer, or none that could be read.
fn transport(error: &Error) -> CallError {
    match error {
        Error::SocketNotFoundError(_) => CallError::NotSent("the container engine does not run".into()),
        Error::HyperLegacyError { err } if err.is_connect() => {
            CallError::NotSent("the container engine does not answer".into())
        }
        Error::IOError { err } if never_connected(err) => {
            CallError::NotSent(format!("the container engine does not answer: {err}"))
        }
        Error::RequestTimeoutError => CallError::Unknown("the engine did not answer in time".into()),
        other => CallError::Unknown(trim(&format!("the engine's answer was lost: {other}"))),
    }
}

/// Whether an error can only come from a connection that was never made.
pub(super) fn never_connected(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::PermissionDenied
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn short(error: CallError) -> (Option<FailureCode>, bool) {
        match error {
            CallError::Refused { code, permanent, .. } => (Some(code), permanent),
            CallError::Unknown(_) | CallError::NotSent(_) => (None, false),
        }
    }

    #[test]
    fn what_engines_say_about_machines_is_understood() {
        let cases = [
            (
                500,
                "cannot listen on the TCP port: listen tcp4 0.0.0.0:20000: bind: address already in use",
                FailureCode::PortTaken,
                false,
            ),
            (
                500,
                "driver failed programming: Bind for 0.0.0.0:20000 failed: port is already allocated",
                FailureCode::PortTaken,
                false,
            ),
            (
                500,
                "runc: exec /.podbay/bin/podbay-agent: exec format error",
                FailureCode::ImagePlatform,
                true,
            ),
            (404, "No such image: sha256:12", FailureCode::ImageNotFound, false),
            (
                404,
                "no container with name or ID \"x\" found: no such container",
                FailureCode::MachineLost,
                false,
            ),
            (
                500,
                "OCI runtime error: runc: exec: \"/.podbay/bin/podbay-agent\": stat: no such file or directory",
                FailureCode::Engine,
                true,
            ),
            (500, "write /var/lib/x: no space left on device", FailureCode::DiskFull, false),
            (400, "invalid port specification", FailureCode::Engine, true),
            (500, "something new", FailureCode::Engine, false),
        ];
        for (status, text, code, permanent) in cases {
            assert_eq!(short(machine(status, text)), (Some(code), permanent), "{text}");
        }
        let busy = machine(409, "removal of container x is already in progress");
        assert!(matches!(busy, CallError::Unknown(_)), "{busy}");
    }

    #[test]
    fn what_engines_say_about_images_is_understood() {
        let cases = [
            (
                Some(404),
                "manifest for alpine:nope not found: manifest unknown: manifest unknown",
                FailureCode::ImageNotFound,
                true,
            ),
            (
                None,
                "initializing source docker://r/x:nope: reading manifest nope in r/x: manifest unknown",
                FailureCode::ImageNotFound,
                true,
            ),
            (
                Some(404),
                "pull access denied for x, repository does not exist or may require 'docker login'",
                FailureCode::ImageDenied,
                true,
            ),
            (
                None,
                "unable to retrieve auth token: invalid username/password: unauthorized: authentication required",
                FailureCode::ImageDenied,
                true,
            ),
            (
                Some(404),
                "no matching manifest for linux/amd64 in the manifest list entries",
                FailureCode::ImagePlatform,
                true,
            ),
            (
                None,
                "choosing an image from manifest list: no image found in manifest list for architecture amd64",
                FailureCode::ImagePlatform,
                true,
            ),
            (
                Some(400),
                "invalid reference format: repository name must be lowercase",
                FailureCode::ImageReference,
                true,
            ),
            (
                Some(500),
                "Get \"https://r/v2/\": dial tcp: lookup r: no such host",
                FailureCode::ImagePull,
                false,
            ),
            (
                Some(500),
                "dial tcp 127.0.0.1:5000: connect: connection refused",
                FailureCode::ImagePull,
                false,
            ),
            (
                Some(500),
                "toomanyrequests: You have reached your pull rate limit",
                FailureCode::ImagePull,
                false,
            ),
            (None, "writing blob: no space left on device", FailureCode::DiskFull, false),
            (Some(500), "something new", FailureCode::ImagePull, false),
        ];
        for (status, text, code, permanent) in cases {
            assert_eq!(short(image(status, text)), (Some(code), permanent), "{text}");
        }
    }

    #[test]
    fn a_connection_that_never_came_about_had_no_effect() {
        let missing = Error::SocketNotFoundError("/x".into());
        assert!(matches!(transport(&missing), CallError::NotSent(_)));
        let refused = Error::IOError { err: io::ErrorKind::ConnectionRefused.into() };
        assert!(matches!(transport(&refused), CallError::NotSent(_)));
        let broken = Error::IOError { err: io::ErrorKind::BrokenPipe.into() };
        assert!(matches!(transport(&broken), CallError::Unknown(_)));
        assert!(matches!(transport(&Error::RequestTimeoutError), CallError::Unknown(_)));
    }

    #[test]
    fn a_long_text_becomes_one_line_of_bounded_length() {
        let text = trim(&"ä\n".repeat(1_000));
        assert_eq!(text.chars().count(), TEXT_CHARS_MAX + 1);
        assert!(!text.contains('\n'));
    }
}
