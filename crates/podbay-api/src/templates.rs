//! Templates, questions about images, and credentials of registries.

use crate::check::{Fields, Outcome, count, name, one_of, parse, text, text_bytes, wrong};
use crate::error::FieldError;
#[cfg(feature = "openapi")]
use crate::pods::both_env_forms;
use crate::pods::{EnvVar, env_vars};
use crate::term::{Term, null_as_default};
use podbay_core::limits;
use podbay_core::published::{Protocol, UsedBy};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt;

/// An image of one's own, with what a pod of it is started with (an addition).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Template {
    /// Id: what an order names as `customTemplateId`.
    pub id: String,
    /// Who made it.
    pub user_id: String,
    /// The team that owns it.
    pub team_id: Option<String>,
    /// Display name; not unique.
    pub name: String,
    /// OCI reference.
    pub image: String,
    /// What is run instead of the image's own command; null for that.
    pub command: Option<Vec<String>>,
    /// Environment.
    #[serde(default, deserialize_with = "null_as_default")]
    pub env_vars: Vec<EnvVar>,
    /// Ports that are published beside those that the image exposes.
    #[serde(default, deserialize_with = "null_as_default")]
    pub ports: Vec<TemplatePort>,
    /// Credentials that the image is fetched with.
    pub registry_credentials_id: Option<String>,
    /// When it was made.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: String,
}

/// A port of a template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct TemplatePort {
    /// Inside the pod.
    pub number: u16,
    /// TCP or UDP.
    pub protocol: Term<Protocol>,
    /// What listens there.
    pub used_by: Option<Term<UsedBy>>,
    /// In words.
    pub description: Option<String>,
}

/// A port as it is asked for.
#[cfg(feature = "openapi")]
#[derive(schemars::JsonSchema)]
#[schemars(rename = "TemplatePortRequest", rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used; TemplatePort is what it is read into")]
struct PortRequest {
    /// Inside the pod; 22 is the port of SSH, and is always published.
    #[schemars(range(min = 1, max = 65_535))]
    number: u16,
    /// TCP if none.
    protocol: Option<Term<Protocol>>,
    /// What listens there.
    used_by: Option<Term<UsedBy>>,
    /// In words.
    description: Option<String>,
}

/// A template to make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
#[serde(rename_all = "camelCase")]
pub struct CreateTemplate {
    /// Display name.
    #[cfg_attr(feature = "openapi", schemars(length(min = 1, max = limits::NAME_CHARS_MAX)))]
    pub name: String,
    /// OCI reference. Whether it is one is for the server to judge.
    #[cfg_attr(feature = "openapi", schemars(length(min = 1, max = limits::NAME_CHARS_MAX)))]
    pub image: String,
    /// What to run instead of the image's own command.
    #[cfg_attr(feature = "openapi", schemars(length(max = limits::COMMAND_WORDS_MAX)))]
    pub command: Option<Vec<String>>,
    /// Environment. Read as a list of pairs or as a map.
    #[cfg_attr(feature = "openapi", schemars(schema_with = "both_env_forms", default))]
    pub env_vars: Vec<EnvVar>,
    /// Ports to publish.
    #[cfg_attr(feature = "openapi", schemars(with = "Option<Vec<PortRequest>>", length(max = limits::PORTS_EXTRA_MAX)))]
    pub ports: Vec<TemplatePort>,
    /// Credentials to fetch the image with.
    pub registry_credentials_id: Option<String>,
}

impl CreateTemplate {
    /// Reads a body.
    ///
    /// # Errors
    /// Every field that is wrong.
    pub fn parse(body: &Value) -> Result<Self, Vec<FieldError>> {
        parse(body, |fields| {
            let template_name = fields.required("name", name);
            let image = fields.required("image", name);
            let command = command(fields);
            let env_vars = env_vars(fields);
            let ports = ports(fields);
            let registry_credentials_id = fields.optional("registryCredentialsId", text);
            fields.deny_others();
            Some(Self {
                name: template_name?,
                image: image?,
                command,
                env_vars,
                ports,
                registry_credentials_id,
            })
        })
    }
}

/// A change of a template: what is absent stays as it is. A null in a nullable field clears it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
#[serde(rename_all = "camelCase")]
pub struct ChangeTemplate {
    /// See [`CreateTemplate::name`].
    #[cfg_attr(feature = "openapi", schemars(with = "String", length(min = 1, max = limits::NAME_CHARS_MAX)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// See [`CreateTemplate::image`].
    #[cfg_attr(feature = "openapi", schemars(with = "String", length(min = 1, max = limits::NAME_CHARS_MAX)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// See [`CreateTemplate::command`].
    #[cfg_attr(feature = "openapi", schemars(with = "Option<Vec<String>>", length(max = limits::COMMAND_WORDS_MAX)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<Option<Vec<String>>>,
    /// See [`CreateTemplate::env_vars`]; all of them.
    #[cfg_attr(feature = "openapi", schemars(schema_with = "both_env_forms", default))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env_vars: Option<Vec<EnvVar>>,
    /// See [`CreateTemplate::ports`]; all of them.
    #[cfg_attr(feature = "openapi", schemars(with = "Option<Vec<PortRequest>>", length(max = limits::PORTS_EXTRA_MAX)))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ports: Option<Vec<TemplatePort>>,
    /// See [`CreateTemplate::registry_credentials_id`].
    #[cfg_attr(feature = "openapi", schemars(with = "Option<String>"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registry_credentials_id: Option<Option<String>>,
}

impl ChangeTemplate {
    /// Reads a body.
    ///
    /// # Errors
    /// Every field that is wrong.
    pub fn parse(body: &Value) -> Result<Self, Vec<FieldError>> {
        parse(body, |fields| {
            let has = |fields: &Fields<'_>, key| fields.has(key).then_some(());
            let change = Self {
                name: has(fields, "name").and_then(|()| fields.required("name", name)),
                image: has(fields, "image").and_then(|()| fields.required("image", name)),
                command: has(fields, "command").map(|()| command(fields)),
                env_vars: has(fields, "envVars").map(|()| env_vars(fields)),
                ports: has(fields, "ports").map(|()| ports(fields)),
                registry_credentials_id: has(fields, "registryCredentialsId")
                    .map(|()| fields.optional("registryCredentialsId", text)),
            };
            fields.deny_others();
            Some(change)
        })
    }
}

/// An empty list is no command: it is the image's own.
fn command(fields: &mut Fields<'_>) -> Option<Vec<String>> {
    let words = fields.optional_list("command", limits::COMMAND_WORDS_MAX, word)?;
    (!words.is_empty()).then_some(words)
}

fn word(value: &Value) -> Outcome<String> {
    let word = text_bytes(value, limits::WORD_BYTES_MAX)?;
    if word.contains('\0') {
        return Err(wrong("string_pattern_mismatch", "must not contain the zero character"));
    }
    Ok(word)
}

fn ports(fields: &mut Fields<'_>) -> Vec<TemplatePort> {
    let ports = fields.optional_list("ports", limits::PORTS_EXTRA_MAX, port).unwrap_or_default();
    for (index, port) in ports.iter().enumerate() {
        let same = |other: &TemplatePort| other.number == port.number && other.protocol == port.protocol;
        if ports[..index].iter().any(same) {
            fields.complain("ports", &[&index.to_string()], wrong("value_error", "is given twice"));
        }
    }
    ports
}

fn port(value: &Value) -> Outcome<TemplatePort> {
    let Value::Object(map) = value else { return Err(wrong("dict_type", "must be an object")) };
    let known = ["number", "protocol", "usedBy", "description"];
    if let Some(key) = map.keys().find(|key| !known.contains(&key.as_str())) {
        let key: String = key.chars().take(limits::NAME_CHARS_MAX).collect();
        return Err(wrong("extra_forbidden", format!("has the unknown field {key}")));
    }
    let given = |key: &str| map.get(key).filter(|value| !value.is_null());
    let number = given("number").ok_or_else(|| wrong("missing", "needs a number"))?;
    let number = count(u16::MAX.into())(number)?;
    if number == u32::from(podbay_core::pod::SSH_PORT) {
        return Err(wrong("value_error", "22 is the port of SSH, and is always published"));
    }
    let protocol = one_of(Protocol::ALL, Protocol::parse, Protocol::as_str);
    let used_by = one_of(UsedBy::ALL, UsedBy::parse, UsedBy::as_str);
    Ok(TemplatePort {
        number: u16::try_from(number).unwrap_or(u16::MAX),
        protocol: given("protocol").map(protocol).transpose()?.unwrap_or(Protocol::Tcp).into(),
        used_by: given("usedBy").map(used_by).transpose()?.map(Into::into),
        description: given("description").map(text).transpose()?,
    })
}

/// A question whether a registry gives an image. The published names are in snake case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct CheckImage {
    /// OCI reference.
    #[cfg_attr(feature = "openapi", schemars(length(min = 1, max = limits::NAME_CHARS_MAX)))]
    pub image: String,
    /// Credentials to ask with.
    pub registry_credentials_id: Option<String>,
}

impl CheckImage {
    /// Reads a body.
    ///
    /// # Errors
    /// Every field that is wrong.
    pub fn parse(body: &Value) -> Result<Self, Vec<FieldError>> {
        parse(body, |fields| {
            let image = fields.required("image", name);
            let registry_credentials_id = fields.optional("registry_credentials_id", text);
            Some(Self { image: image?, registry_credentials_id })
        })
    }
}

/// What is known of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct ImageChecked {
    /// Whether a pod of it could be made here.
    pub valid: bool,
    /// The reference, completed.
    pub image: String,
    /// Why it is not valid.
    pub detail: Option<String>,
    /// Digest of its manifest.
    pub digest: Option<String>,
    /// What it is for, as in `linux/amd64`; empty if that is not known.
    pub platforms: Vec<String>,
}

/// Credentials of a registry, without the password: no call ever answers that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RegistryCredentials {
    /// Id.
    pub id: String,
    /// Display name.
    pub name: String,
    /// Registry.
    pub server: String,
    /// When they were added.
    pub created_at: String,
    /// When they last changed.
    pub updated_at: String,
    /// Whose they are.
    pub user_id: Option<String>,
    /// The team that owns them.
    pub team_id: Option<String>,
}

/// The published list of credentials: not one of the two page families.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct RegistryCredentialsList {
    /// All of them.
    pub credentials: Vec<RegistryCredentials>,
}

/// Credentials to add (an addition).
#[derive(Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct AddRegistryCredentials {
    /// Display name.
    #[cfg_attr(feature = "openapi", schemars(length(min = 1, max = limits::NAME_CHARS_MAX)))]
    pub name: String,
    /// Registry, as it stands at the head of image references.
    #[cfg_attr(feature = "openapi", schemars(length(min = 1, max = limits::NAME_CHARS_MAX)))]
    pub server: String,
    /// Login name.
    #[cfg_attr(feature = "openapi", schemars(length(min = 1, max = limits::NAME_CHARS_MAX)))]
    pub username: String,
    /// Password or token.
    #[cfg_attr(feature = "openapi", schemars(length(min = 1)))]
    pub password: String,
}

impl fmt::Debug for AddRegistryCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AddRegistryCredentials({} as {})", self.server, self.username)
    }
}

impl AddRegistryCredentials {
    /// Reads a body.
    ///
    /// # Errors
    /// Every field that is wrong.
    pub fn parse(body: &Value) -> Result<Self, Vec<FieldError>> {
        parse(body, |fields| {
            let display = fields.required("name", name);
            let server = fields.required("server", name);
            let username = fields.required("username", name);
            let password = fields.required("password", password);
            fields.deny_others();
            Some(Self { name: display?, server: server?, username: username?, password: password? })
        })
    }
}

fn password(value: &Value) -> Outcome<String> {
    let password = text_bytes(value, limits::WORD_BYTES_MAX)?;
    if password.is_empty() {
        return Err(wrong("string_too_short", "must not be empty"));
    }
    if password.chars().any(char::is_control) {
        return Err(wrong("string_pattern_mismatch", "must have no control characters, no line feed either"));
    }
    Ok(password)
}
