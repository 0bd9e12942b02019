//! A pseudo-terminal: opened, set up as the client asks, and read and written without blocking.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use russh::Pty as Code;
use rustix::fs::{Mode, OFlags};
use rustix::pty::OpenptFlags;
use rustix::termios::{
    ControlModes, InputModes, LocalModes, OptionalActions, OutputModes, SpecialCodeIndex, Termios, Winsize,
};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::users::{Tables, User};

/// What `pty-req` asks for.
#[derive(Clone, Debug)]
pub(crate) struct PtyRequest {
    pub(crate) term: String,
    pub(crate) size: Winsize,
    pub(crate) modes: Vec<(Code, u32)>,
}

/// The window size of a request; what does not fit a terminal's 16 bits is cut.
pub(crate) fn window(columns: u32, rows: u32, width: u32, height: u32) -> Winsize {
    let cut = |number: u32| u16::try_from(number).unwrap_or(u16::MAX);
    Winsize { ws_row: cut(rows), ws_col: cut(columns), ws_xpixel: cut(width), ws_ypixel: cut(height) }
}

/// The controlling side of a terminal.
#[derive(Clone)]
pub(crate) struct Terminal(Arc<AsyncFd<OwnedFd>>);

/// A new terminal: our side, the program's side, and its path.
pub(crate) fn open(request: &PtyRequest, user: &User) -> io::Result<(Terminal, OwnedFd, PathBuf)> {
    let master = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    rustix::pty::grantpt(&master)?;
    rustix::pty::unlockpt(&master)?;
    // The kernel hands out the other side directly: `/dev/pts` need not be mounted.
    let slave = rustix::pty::ioctl_tiocgptpeer(
        &master,
        OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC,
    )?;
    let path = rustix::pty::ptsname(&master, Vec::new())?;
    let path = PathBuf::from(path.to_string_lossy().into_owned());
    if user.identity().is_some() {
        let group = Tables::read().tty_gid();
        let mode = if group.is_some() { 0o620 } else { 0o600 };
        let group = rustix::process::Gid::from_raw(group.unwrap_or(user.gid));
        rustix::fs::fchown(&slave, Some(rustix::process::Uid::from_raw(user.uid)), Some(group))?;
        rustix::fs::fchmod(&slave, Mode::from_raw_mode(mode))?;
    }
    let mut termios = rustix::termios::tcgetattr(&slave)?;
    apply(&mut termios, &request.modes);
    rustix::termios::tcsetattr(&slave, OptionalActions::Now, &termios)?;
    rustix::termios::tcsetwinsize(&slave, request.size)?;
    let flags = rustix::fs::fcntl_getfl(&master)?;
    rustix::fs::fcntl_setfl(&master, flags | OFlags::NONBLOCK)?;
    Ok((Terminal(Arc::new(crate::sys::watched(master)?)), slave, path))
}

impl Terminal {
    /// The client's window changed; the kernel tells the foreground program.
    pub(crate) fn resize(&self, size: Winsize) {
        let _ = rustix::termios::tcsetwinsize(self.0.as_fd(), size);
    }
}

impl AsyncRead for Terminal {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut guard = ready!(self.0.poll_read_ready(cx))?;
            let room = buffer.initialize_unfilled();
            match guard.try_io(|fd| Ok(rustix::io::read(fd.get_ref(), &mut *room)?)) {
                Ok(Ok(count)) => {
                    buffer.advance(count);
                    return Poll::Ready(Ok(()));
                }
                Ok(Err(why)) if why.kind() == io::ErrorKind::Interrupted => {}
                // EIO: every process let go of the terminal. That is its end.
                Ok(Err(why)) if why.raw_os_error() == Some(libc::EIO) => return Poll::Ready(Ok(())),
                Ok(Err(why)) => return Poll::Ready(Err(why)),
                Err(_would_block) => {}
            }
        }
    }
}

impl AsyncWrite for Terminal {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = ready!(self.0.poll_write_ready(cx))?;
            match guard.try_io(|fd| Ok(rustix::io::write(fd.get_ref(), data)?)) {
                Ok(Err(why)) if why.kind() == io::ErrorKind::Interrupted => {}
                Ok(result) => return Poll::Ready(result),
                Err(_would_block) => {}
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// A terminal has no half-close: the client's end of input is not the program's, as with sshd.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Sets what the client's terminal is set to. Line speeds mean nothing here, and modes Linux does
/// not have are passed over.
fn apply(termios: &mut Termios, modes: &[(Code, u32)]) {
    for (code, value) in modes {
        let on = *value != 0;
        if let Some(index) = special(*code) {
            // 255 means "none" on the wire and is 0 here.
            termios.special_codes[index] = u8::try_from(*value).ok().filter(|byte| *byte != 255).unwrap_or(0);
        } else if let Some(flag) = input(*code) {
            termios.input_modes.set(flag, on);
        } else if let Some(flag) = local(*code) {
            termios.local_modes.set(flag, on);
        } else if let Some(flag) = output(*code) {
            termios.output_modes.set(flag, on);
        } else {
            match code {
                Code::CS7 | Code::CS8 if on => {
                    termios.control_modes.remove(ControlModes::CSIZE);
                    let size = if *code == Code::CS7 { ControlModes::CS7 } else { ControlModes::CS8 };
                    termios.control_modes.insert(size);
                }
                Code::PARENB => termios.control_modes.set(ControlModes::PARENB, on),
                Code::PARODD => termios.control_modes.set(ControlModes::PARODD, on),
                _ => {}
            }
        }
    }
}

fn special(code: Code) -> Option<SpecialCodeIndex> {
    Some(match code {
        Code::VINTR => SpecialCodeIndex::VINTR,
        Code::VQUIT => SpecialCodeIndex::VQUIT,
        Code::VERASE => SpecialCodeIndex::VERASE,
        Code::VKILL => SpecialCodeIndex::VKILL,
        Code::VEOF => SpecialCodeIndex::VEOF,
        Code::VEOL => SpecialCodeIndex::VEOL,
        Code::VEOL2 => SpecialCodeIndex::VEOL2,
        Code::VSTART => SpecialCodeIndex::VSTART,
        Code::VSTOP => SpecialCodeIndex::VSTOP,
        Code::VSUSP => SpecialCodeIndex::VSUSP,
        Code::VREPRINT => SpecialCodeIndex::VREPRINT,
        Code::VWERASE => SpecialCodeIndex::VWERASE,
        Code::VLNEXT => SpecialCodeIndex::VLNEXT,
        Code::VDISCARD => SpecialCodeIndex::VDISCARD,
        Code::VSWTCH => SpecialCodeIndex::VSWTC,
        _ => return None,
    })
}

fn input(code: Code) -> Option<InputModes> {
    Some(match code {
        Code::IGNPAR => InputModes::IGNPAR,
        Code::PARMRK => InputModes::PARMRK,
        Code::INPCK => InputModes::INPCK,
        Code::ISTRIP => InputModes::ISTRIP,
        Code::INLCR => InputModes::INLCR,
        Code::IGNCR => InputModes::IGNCR,
        Code::ICRNL => InputModes::ICRNL,
        Code::IUCLC => InputModes::IUCLC,
        Code::IXON => InputModes::IXON,
        Code::IXANY => InputModes::IXANY,
        Code::IXOFF => InputModes::IXOFF,
        Code::IMAXBEL => InputModes::IMAXBEL,
        Code::IUTF8 => InputModes::IUTF8,
        _ => return None,
    })
}

fn local(code: Code) -> Option<LocalModes> {
    Some(match code {
        Code::ISIG => LocalModes::ISIG,
        Code::ICANON => LocalModes::ICANON,
        Code::XCASE => LocalModes::XCASE,
        Code::ECHO => LocalModes::ECHO,
        Code::ECHOE => LocalModes::ECHOE,
        Code::ECHOK => LocalModes::ECHOK,
        Code::ECHONL => LocalModes::ECHONL,
        Code::NOFLSH => LocalModes::NOFLSH,
        Code::TOSTOP => LocalModes::TOSTOP,
        Code::IEXTEN => LocalModes::IEXTEN,
        Code::ECHOCTL => LocalModes::ECHOCTL,
        Code::ECHOKE => LocalModes::ECHOKE,
        Code::PENDIN => LocalModes::PENDIN,
        _ => return None,
    })
}

fn output(code: Code) -> Option<OutputModes> {
    Some(match code {
        Code::OPOST => OutputModes::OPOST,
        Code::OLCUC => OutputModes::OLCUC,
        Code::ONLCR => OutputModes::ONLCR,
        Code::OCRNL => OutputModes::OCRNL,
        Code::ONOCR => OutputModes::ONOCR,
        Code::ONLRET => OutputModes::ONLRET,
        _ => return None,
    })
}
