//! The few things that need `unsafe`, each with its reason. Everything else is safe Rust.
#![expect(unsafe_code, reason = "code between fork and exec, and a few calls without a safe wrapper")]

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{Gid, Uid};
use tokio::io::unix::AsyncFd;

/// Who a new process shall be.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) uid: Uid,
    pub(crate) gid: Gid,
    pub(crate) groups: Vec<Gid>,
}

/// Makes `command` start as the leader of its own session with default signal dispositions; with
/// `terminal`, its stdin becomes its controlling terminal; with `identity`, it runs as that user.
pub(crate) fn new_session(command: &mut Command, terminal: bool, identity: Option<Identity>) {
    let prepare = move || -> io::Result<()> {
        // An ignored signal stays ignored across exec: a pod started under `nohup` must not have
        // shells that survive their terminal.
        for signal in 1..libc::SIGRTMAX() {
            // SAFETY: `signal` only writes this process's table; SIG_DFL runs no code of ours.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
        rustix::process::setsid()?;
        if terminal {
            rustix::process::ioctl_tiocsctty(rustix::stdio::stdin())?;
        }
        if let Some(identity) = &identity {
            rustix::thread::set_thread_groups(&identity.groups)?;
            rustix::thread::set_thread_gid(identity.gid)?;
            rustix::thread::set_thread_uid(identity.uid)?;
        }
        Ok(())
    };
    // SAFETY: the closure runs after fork in a process with this one thread. It makes system calls
    // only: no allocation, no lock, no destructor (`identity` was built before the fork, and the
    // child leaves by exec or _exit).
    unsafe { command.pre_exec(prepare) };
}

/// Sends a signal to every process of this PID namespace but ourselves. Only for PID 1.
pub(crate) fn signal_everyone(signal: rustix::process::Signal) {
    debug_assert_eq!(std::process::id(), 1);
    // SAFETY: plain system call without pointers.
    unsafe { libc::kill(-1, signal.as_raw()) };
}

/// Has the runtime watch a descriptor.
pub(crate) fn watched(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is open, stays the same descriptor, and is closed only with the `AsyncFd`
    // that owns it from here on.
    Ok(unsafe { AsyncFd::register(descriptor) }?)
}

/// Gives freed memory back to the kernel, after a queue that was large has drained.
pub(crate) fn trim_memory() {
    // SAFETY: glibc's allocator takes its own locks; no pointer is passed.
    unsafe { libc::malloc_trim(0) };
}

/// Keeps freed memory from piling up: large blocks go straight back to the kernel, and one arena
/// serves every thread. Called once, before the first thread.
pub(crate) fn tune_allocator() {
    // SAFETY: integers only, before any other thread exists.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 1024 * 1024);
        libc::mallopt(libc::M_MMAP_THRESHOLD, 512 * 1024);
    }
}
