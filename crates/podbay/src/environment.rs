//! What the process was started with, beside its arguments: the one place that reads it.

use std::path::PathBuf;

/// What the process was started with.
pub struct Environment {
    /// `PODBAY_API_KEY`.
    pub api_key: Option<String>,
    /// `NO_COLOR` is set.
    pub no_color: bool,
    /// The home folder.
    pub home: Option<PathBuf>,
    /// The folder of profiles and known hosts.
    pub folder: Option<PathBuf>,
}

impl Environment {
    /// Reads it.
    pub fn read() -> Self {
        let path = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let home = path("HOME");
        let base = path("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
        let folder =
            base.or_else(|| home.as_ref().map(|home| home.join(".config"))).map(|base| base.join("podbay"));
        Self {
            api_key: variable("PODBAY_API_KEY"),
            no_color: std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()),
            home,
            folder,
        }
    }
}

/// A variable by name, if it is set to text that is not empty.
pub fn variable(name: &str) -> Option<String> {
    let value = std::env::var_os(name)?.into_string().ok()?;
    (!value.trim().is_empty()).then_some(value)
}
