//! Images of a scripted world, as its registry has them.

use podbay_core::pod::{ImageFact, PortSpec};
use podbay_core::published::Protocol;
use std::collections::BTreeMap;

/// What the registry answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answered {
    Image,
    Denied,
    Missing,
    Bad,
}

/// An image: what is in it, and how what is started from it behaves.
#[derive(Clone, Debug)]
pub struct Image {
    pub(super) fact: ImageFact,
    pub(super) bytes: u64,
    pub(super) architecture: Option<String>,
    pub(super) answered: Answered,
    pub(super) credentials: Option<(String, String)>,
    pub(super) exits: Option<i64>,
    pub(super) answers_ssh: bool,
    pub(super) greetings: BTreeMap<u16, Vec<u8>>,
    pub(super) says: Vec<String>,
    pub(super) pulls: u64,
    pub(super) on_host: bool,
}

impl Default for Image {
    /// An image of 64 MiB for root that runs until it is stopped, for any platform.
    fn default() -> Self {
        let fact = ImageFact {
            digest: String::new(),
            command: vec!["/bin/sh".into()],
            user: String::new(),
            working_dir: None,
            exposed: Vec::new(),
        };
        Self {
            fact,
            bytes: 64 << 20,
            architecture: None,
            answered: Answered::Image,
            credentials: None,
            exits: None,
            answers_ssh: true,
            greetings: BTreeMap::new(),
            says: Vec::new(),
            pulls: 0,
            on_host: false,
        }
    }
}

impl Image {
    /// One that the registry does not give to these credentials, whatever they are.
    #[must_use]
    pub fn denied() -> Self {
        Self { answered: Answered::Denied, ..Self::default() }
    }

    /// One that the registry does not have; as a reference that the world was never told of.
    #[must_use]
    pub fn missing() -> Self {
        Self { answered: Answered::Missing, ..Self::default() }
    }

    /// One whose reference is none.
    #[must_use]
    pub fn bad() -> Self {
        Self { answered: Answered::Bad, ..Self::default() }
    }

    /// EXPOSE, as in `8080/tcp`, `53/udp` or `80`. Panics on anything else: it is a test's mistake.
    #[must_use]
    pub fn exposing(mut self, port: &str) -> Self {
        let (number, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
        let protocol = match protocol {
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            _ => panic!("{port}: neither tcp nor udp"),
        };
        let number = number.parse().unwrap_or_else(|_| panic!("{port}: no port number"));
        self.fact.exposed.push(PortSpec { number, protocol });
        self
    }

    /// USER.
    #[must_use]
    pub fn user(mut self, user: &str) -> Self {
        user.clone_into(&mut self.fact.user);
        self
    }

    /// ENTRYPOINT and CMD.
    #[must_use]
    pub fn command(mut self, words: &[&str]) -> Self {
        self.fact.command = words.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// WORKDIR.
    #[must_use]
    pub fn working_dir(mut self, folder: &str) -> Self {
        self.fact.working_dir = Some(folder.to_owned());
        self
    }

    /// Size of its layers.
    #[must_use]
    pub fn bytes(mut self, bytes: u64) -> Self {
        self.bytes = bytes;
        self
    }

    /// The digest; one that follows from the reference, if it is not named.
    #[must_use]
    pub fn digest(mut self, digest: &str) -> Self {
        digest.clone_into(&mut self.fact.digest);
        self
    }

    /// The one platform that it is for, as in `arm64`.
    #[must_use]
    pub fn only_for(mut self, architecture: &str) -> Self {
        self.architecture = Some(architecture.to_owned());
        self
    }

    /// The one user that the registry gives it to.
    #[must_use]
    pub fn private(mut self, username: &str, password: &str) -> Self {
        self.credentials = Some((username.to_owned(), password.to_owned()));
        self
    }

    /// Machines of it end as soon as they are started.
    #[must_use]
    pub fn exiting(mut self, code: i64) -> Self {
        self.exits = Some(code);
        self
    }

    /// Nobody speaks SSH in machines of it.
    #[must_use]
    pub fn without_ssh(mut self) -> Self {
        self.answers_ssh = false;
        self
    }

    /// Something listens on that port of its machines and says this first.
    #[must_use]
    pub fn greeting(mut self, port: u16, bytes: &[u8]) -> Self {
        self.greetings.insert(port, bytes.to_vec());
        self
    }

    /// Its machines write this line when they start.
    #[must_use]
    pub fn saying(mut self, line: &str) -> Self {
        self.says.push(line.to_owned());
        self
    }

    /// It lies on the host already.
    #[must_use]
    pub fn on_host(mut self) -> Self {
        self.on_host = true;
        self
    }
}

/// A digest that is a function of the reference.
pub(super) fn digest_of(reference: &str) -> String {
    let seed = reference.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    });
    let mut chance = super::fault::Chance::new(seed);
    let words: String = (0..4).map(|_| format!("{:016x}", chance.bits())).collect();
    format!("sha256:{words}")
}
