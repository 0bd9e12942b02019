//! Looking into machines: output, load, connections.

use super::clock;
use super::errors::{machine_call, refused};
use super::inspect::{self, reachable};
use super::io::Link;
use super::limits::{ASK_MAX, DIAL_MAX, LOG_BYTES_MAX, LOG_LINE_BYTES_MAX};
use super::machine::within;
use crate::{Answer, LogLine, Logs, Stats, Stream};
use bollard::Docker;
use bollard::container::LogOutput;
use bollard::models::ContainerStatsResponse;
use bollard::query_parameters::{LogsOptions, StatsOptions};
use futures_util::StreamExt;
use podbay_core::pod::{CallError, FailureCode};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use tokio::net::TcpStream;

/// The last lines of both streams, in the order in which the engine kept them.
pub(super) async fn logs(docker: &Docker, name: &str, tail: u32) -> Answer<Logs> {
    let options = LogsOptions {
        stdout: true,
        stderr: true,
        timestamps: true,
        tail: tail.to_string(),
        ..LogsOptions::default()
    };
    let mut output = docker.logs(name, Some(options));
    let read = async {
        let mut lines = Lines::default();
        while let Some(piece) = output.next().await {
            let (stderr, message) = match piece.map_err(machine_call)? {
                LogOutput::StdErr { message } => (true, message),
                LogOutput::StdOut { message }
                | LogOutput::Console { message }
                | LogOutput::StdIn { message } => (false, message),
            };
            lines.take(stderr, &message);
        }
        Ok(lines.finish(tail))
    };
    tokio::time::timeout(ASK_MAX, read)
        .await
        .unwrap_or_else(|_| Err(CallError::Unknown("the engine did not give the logs in time".into())))
}

/// Puts the pieces together that engines cut long lines into; each begins with a time. What is too
/// much is dropped from the oldest on, since the end is what people look for.
#[derive(Debug, Default)]
struct Lines {
    kept: VecDeque<LogLine>,
    /// Lines dropped before those that are kept, and bytes of those.
    dropped: usize,
    bytes: usize,
    /// Whether the last line of each stream is still without its end, counted from the very first; by
    /// `stderr`.
    open: [Option<usize>; 2],
}

impl Lines {
    fn take(&mut self, stderr: bool, message: &[u8]) {
        for piece in message.split_inclusive(|byte| *byte == b'\n') {
            let ended = piece.ends_with(b"\n");
            let text = String::from_utf8_lossy(piece);
            let text = text.trim_end_matches(['\n', '\r']);
            let (at, text) = match text.split_once(' ') {
                Some((time, rest)) if clock::parse(time).is_some() => (clock::parse(time), rest),
                // An empty line ends with its time.
                None if clock::parse(text).is_some() => (clock::parse(text), ""),
                _ => (None, text),
            };
            let (next, first) = (self.dropped + self.kept.len(), self.dropped);
            let open = &mut self.open[usize::from(stderr)];
            let line = open.unwrap_or(next);
            *open = (!ended).then_some(line);
            if line == next {
                self.kept.push_back(LogLine { at, stderr, text: String::new() });
            }
            // The rest of a line that was dropped is dropped, too.
            let Some(line) = line.checked_sub(first).and_then(|at| self.kept.get_mut(at)) else { continue };
            let room = LOG_LINE_BYTES_MAX.saturating_sub(line.text.len()).min(text.len());
            let text = &text[..text.floor_char_boundary(room)];
            line.text.push_str(text);
            self.bytes += text.len();
            while self.bytes > LOG_BYTES_MAX
                && let Some(oldest) = self.kept.pop_front()
            {
                self.bytes -= oldest.text.len();
                self.dropped += 1;
            }
        }
    }

    fn finish(mut self, tail: u32) -> Logs {
        let extra = self.kept.len().saturating_sub(usize::try_from(tail).unwrap_or(usize::MAX));
        self.kept.drain(..extra);
        Logs { lines: self.kept.into() }
    }
}

/// Counters since the start; rates are for those who look twice.
pub(super) async fn stats(docker: &Docker, name: &str) -> Answer<Stats> {
    let mut samples = docker.stats(name, Some(StatsOptions { stream: false, one_shot: true }));
    let sample = within(ASK_MAX, async { samples.next().await.transpose() }).await?;
    Ok(sample.map(|sample| load(&sample)).unwrap_or_default())
}

fn load(sample: &ContainerStatsResponse) -> Stats {
    let cpu = sample.cpu_stats.as_ref().and_then(|cpu| cpu.cpu_usage.as_ref()?.total_usage);
    let memory = sample.memory_stats.as_ref();
    // Files that were read and can be dropped at any time are not in use. The two names are those
    // of the two generations of control groups.
    let cache = memory.and_then(|memory| {
        let stats = memory.stats.as_ref()?;
        stats.get("inactive_file").or(stats.get("total_inactive_file")).copied()
    });
    let networks = || sample.networks.iter().flat_map(|networks| networks.values());
    Stats {
        cpu_nanos: cpu.unwrap_or(0),
        memory_bytes: memory.and_then(|memory| memory.usage).unwrap_or(0).saturating_sub(cache.unwrap_or(0)),
        pids: sample.pids_stats.as_ref().and_then(|pids| pids.current).unwrap_or(0),
        network_rx_bytes: networks().filter_map(|network| network.rx_bytes).sum(),
        network_tx_bytes: networks().filter_map(|network| network.tx_bytes).sum(),
    }
}

/// Into the machine: to its address on the bridge, or (where that cannot be reached, as with an
/// engine that runs without root) to the port that is published for it.
pub(super) async fn dial(link: &Link, name: &str, port: u16) -> Answer<Box<dyn Stream>> {
    let found = inspect::container(link, name).await?;
    let Some(found) = found else {
        return Err(refused(FailureCode::MachineLost, false, format!("there is no machine {name}")));
    };
    let mut trouble = format!("the machine {name} has no address: it does not run");
    for address in found.addresses(port) {
        match connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => trouble = format!("{address}: {error}"),
        }
    }
    Err(CallError::NotSent(trouble))
}

/// From outside, as a client would.
pub(super) async fn dial_published(address: SocketAddr) -> Answer<Box<dyn Stream>> {
    let address = SocketAddr::new(reachable(address.ip()), address.port());
    connect(address).await.map_err(|error| CallError::NotSent(format!("{address}: {error}")))
}

async fn connect(address: SocketAddr) -> io::Result<Box<dyn Stream>> {
    let stream = tokio::time::timeout(DIAL_MAX, TcpStream::connect(address))
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
    // Keystrokes are small and must not wait for each other.
    stream.set_nodelay(true)?;
    Ok(Box::new(stream))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_put_together_from_pieces() {
        let mut lines = Lines::default();
        lines.take(false, b"2026-08-20T10:00:00.5Z one\n");
        lines.take(true, b"2026-08-20T10:00:01Z long");
        lines.take(false, b"2026-08-20T10:00:01Z two\n2026-08-20T10:00:02Z \n");
        lines.take(true, b"2026-08-20T10:00:01Z er\n");
        lines.take(false, b"no time\n");
        lines.take(false, b"2026-08-20T10:00:03Z \xff unended");
        let logs = lines.finish(10);
        let shown: Vec<_> = logs.lines.iter().map(|line| (line.stderr, line.text.as_str())).collect();
        assert_eq!(
            shown,
            [
                (false, "one"),
                (true, "longer"),
                (false, "two"),
                (false, ""),
                (false, "no time"),
                (false, "\u{fffd} unended")
            ]
        );
        assert_eq!(logs.lines[0].at.unwrap().as_millis(), 1_787_220_000_500);
        assert_eq!(logs.lines[4].at, None);
    }

    #[test]
    fn no_more_lines_than_asked_for() {
        let mut lines = Lines::default();
        lines.take(false, b"a\nb\nc\n");
        let logs = lines.finish(2);
        assert_eq!(logs.lines.iter().map(|line| line.text.as_str()).collect::<Vec<_>>(), ["b", "c"]);
    }

    #[test]
    fn too_much_is_dropped_from_the_oldest_on_and_long_lines_end_early() {
        let mut lines = Lines::default();
        lines.take(true, b"never ended");
        let long = vec![b'x'; LOG_LINE_BYTES_MAX + 5];
        for _ in 0..LOG_BYTES_MAX / LOG_LINE_BYTES_MAX {
            lines.take(false, &long);
            lines.take(false, b"\n");
        }
        lines.take(true, b" and never will");
        lines.take(false, b"the last\n");
        let logs = lines.finish(u32::MAX);
        assert_eq!(logs.lines.last().unwrap().text, "the last");
        assert_eq!(logs.lines[0].text.len(), LOG_LINE_BYTES_MAX);
        let bytes: usize = logs.lines.iter().map(|line| line.text.len()).sum();
        assert!((LOG_BYTES_MAX - LOG_LINE_BYTES_MAX..=LOG_BYTES_MAX).contains(&bytes), "{bytes}");
    }

    #[test]
    fn memory_in_use_leaves_out_what_can_be_dropped() {
        let sample: ContainerStatsResponse = serde_json::from_str(
            r#"{"cpu_stats":{"cpu_usage":{"total_usage":5}},"memory_stats":{"usage":100,"stats":{"inactive_file":30}},
            "pids_stats":{"current":3},
            "networks":{"a":{"rx_bytes":1,"tx_bytes":2},"b":{"rx_bytes":10,"tx_bytes":20}}}"#,
        )
        .unwrap();
        let expected =
            Stats { cpu_nanos: 5, memory_bytes: 70, pids: 3, network_rx_bytes: 11, network_tx_bytes: 22 };
        assert_eq!(load(&sample), expected);
    }
}
