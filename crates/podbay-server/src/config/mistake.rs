//! What is wrong with a configuration, and where.

use std::fmt;
use std::path::PathBuf;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Something in it is wrong.
    #[error("{0}")]
    Mistakes(Mistakes),
    /// The password of a registry is not where it was when the configuration was read.
    #[error("registry {server}: {text}")]
    Registry {
        /// The registry.
        server: String,
        /// What is wrong, and what to write.
        text: String,
    },
}

/// All that is wrong, a line each: by line of the file, then by variable.
#[derive(Debug)]
pub struct Mistakes {
    /// The file, as it was named.
    pub(super) file: String,
    pub(super) all: Vec<Mistake>,
}

/// One thing that is wrong. The order is that in which mistakes are told.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mistake {
    pub place: Place,
    /// Path of the key; empty where the file is no TOML.
    pub key: String,
    /// What is wrong, and what to write.
    pub text: String,
}

/// Where it stands.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// A line of the file.
    Line(usize),
    /// A variable of the environment.
    Variable(String),
    /// Neither has it.
    Nowhere,
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.all.len() > 1 {
            write!(f, "the configuration has {} mistakes", self.all.len())?;
        }
        for (index, Mistake { place, key, text }) in self.all.iter().enumerate() {
            if self.all.len() > 1 || index > 0 {
                writeln!(f)?;
            }
            match place {
                Place::Line(line) => write!(f, "{}:{line}: ", self.file)?,
                Place::Variable(name) => write!(f, "{name}: ")?,
                Place::Nowhere => {}
            }
            if !key.is_empty() && !matches!(place, Place::Variable(_)) {
                write!(f, "{key}: ")?;
            }
            f.write_str(text)?;
        }
        Ok(())
    }
}
