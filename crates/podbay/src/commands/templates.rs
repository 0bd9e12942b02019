//! `podbay templates`.

use super::pods::env_var;
use crate::context::Context;
use crate::failure::Result;
use crate::find;
use crate::output::{NONE, Rows, details, or_none, time};
use clap::{Args, Subcommand};
use podbay_api::client::Client;
use podbay_api::pods::EnvVar;
use podbay_api::templates::{ChangeTemplate, CreateTemplate, Template, TemplatePort};
use podbay_core::published::Protocol;

/// Manage images of your own, with what a pod of them is started with
#[derive(Debug, Subcommand)]
pub enum Templates {
    /// List them
    List,
    /// Show one in full
    Get {
        /// Id, beginning of one, or name
        template: String,
    },
    /// Make one
    Create {
        /// Display name
        name: String,
        /// OCI reference of the image
        #[arg(long, value_name = "REFERENCE")]
        image: String,
        #[command(flatten)]
        parts: Parts,
    },
    /// Change one; pods that were ordered from it stay as they are
    Update {
        /// Id, beginning of one, or name
        template: String,
        /// Display name
        #[arg(long)]
        name: Option<String>,
        /// OCI reference of the image
        #[arg(long, value_name = "REFERENCE")]
        image: Option<String>,
        /// Run the image's own command again
        #[arg(long, conflicts_with = "command")]
        no_command: bool,
        /// Set no variable any more
        #[arg(long, conflicts_with = "env")]
        no_env: bool,
        /// Publish no port any more
        #[arg(long, conflicts_with = "ports")]
        no_ports: bool,
        /// Fetch the image without credentials again
        #[arg(long, conflicts_with = "registry_credentials")]
        no_registry_credentials: bool,
        #[command(flatten)]
        parts: Parts,
    },
    /// Delete one; pods that were ordered from it stay as they are
    Delete {
        /// Id, beginning of one, or name
        template: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

/// What both a new and a changed template may have.
#[derive(Debug, Args)]
pub struct Parts {
    /// Variable of the environment; NAME alone takes its value from here. May be given several times
    #[arg(long = "env", short, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Port to publish, and what it is for, as in 8000=the page or 53/udp. May be given several times
    #[arg(long = "port", value_name = "NUMBER[/PROTOCOL][=TEXT]", value_parser = port)]
    ports: Vec<TemplatePort>,
    /// Log-in that the image is fetched with: id, beginning of one, or name
    #[arg(long, value_name = "CREDENTIALS")]
    registry_credentials: Option<String>,
    /// What to run instead of the image's own command, after --
    #[arg(last = true)]
    command: Vec<String>,
}

impl Parts {
    fn env_vars(&self) -> Result<Vec<EnvVar>> {
        self.env.iter().map(|text| env_var(text)).collect()
    }

    async fn credentials(&self, client: &Client) -> Result<Option<String>> {
        let Some(text) = &self.registry_credentials else { return Ok(None) };
        let all = client.registry_credentials().await?;
        Ok(Some(find::one(all, text, "registry credentials")?.id))
    }
}

fn port(text: &str) -> std::result::Result<TemplatePort, String> {
    let (port, description) = match text.split_once('=') {
        Some((port, description)) => (port, Some(description.to_owned())),
        None => (text, None),
    };
    let (number, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
    let wrong = || "write a number, as in 8000, 53/udp or 8000=the page".to_owned();
    Ok(TemplatePort {
        number: number.parse().map_err(|_| wrong())?,
        protocol: Protocol::parse(&protocol.to_ascii_uppercase()).ok_or_else(wrong)?.into(),
        used_by: None,
        description,
    })
}

impl Templates {
    /// Runs it.
    pub async fn run(self, context: &mut Context<'_>) -> Result<()> {
        let client = context.client()?;
        let find = async |text: &str| find::one(client.templates().await?, text, "template");
        match self {
            Self::List => {
                let all = client.templates().await?;
                context.list(&all, "there are no templates; make one with `podbay templates create`", table)
            }
            Self::Get { template } => context.show(&find(&template).await?, whole),
            Self::Create { name, image, parts } => {
                let made = CreateTemplate {
                    name,
                    image,
                    env_vars: parts.env_vars()?,
                    registry_credentials_id: parts.credentials(&client).await?,
                    command: (!parts.command.is_empty()).then_some(parts.command),
                    ports: parts.ports,
                };
                let made = client.template_create(&made).await?;
                context.terminal.say(&format!("made template {} ({})", made.name, made.id));
                context.show(&made, whole)
            }
            Self::Update {
                template,
                name,
                image,
                no_command,
                no_env,
                no_ports,
                no_registry_credentials,
                parts,
            } => {
                let id = find(&template).await?.id;
                let env_vars = parts.env_vars()?;
                let credentials = parts.credentials(&client).await?;
                let change = ChangeTemplate {
                    name,
                    image,
                    command: (no_command || !parts.command.is_empty())
                        .then(|| (!no_command).then_some(parts.command)),
                    env_vars: (no_env || !env_vars.is_empty()).then_some(env_vars),
                    ports: (no_ports || !parts.ports.is_empty()).then_some(parts.ports),
                    registry_credentials_id: (no_registry_credentials || credentials.is_some())
                        .then_some(credentials),
                };
                let changed = client.template_update(&id, &change).await?;
                context.terminal.say(&format!("changed template {} ({})", changed.name, changed.id));
                context.show(&changed, whole)
            }
            Self::Delete { template, yes } => {
                let one = find(&template).await?;
                context.agree(yes, &format!("Delete template {} ({})?", one.name, one.id))?;
                client.template_delete(&one.id).await?;
                context.terminal.say(&format!("deleted template {} ({})", one.name, one.id));
                Ok(())
            }
        }
    }
}

fn table(templates: &[Template]) -> Rows {
    let mut rows = Rows::new(&["ID", "NAME", "IMAGE", "MADE"]);
    for template in templates {
        let made = time(&template.created_at);
        rows.push(vec![template.id.clone(), template.name.clone(), template.image.clone(), made]);
    }
    rows
}

fn whole(template: &Template) -> String {
    let list = |words: Vec<String>| if words.is_empty() { NONE.to_owned() } else { words.join(", ") };
    let port = |port: &TemplatePort| {
        let text = port.description.as_ref().map(|text| format!(" {text}")).unwrap_or_default();
        format!("{}/{}{text}", port.number, port.protocol)
    };
    // The values may be secrets.
    let names = template.env_vars.iter().map(|var| var.key.clone());
    details(&[
        ("id", template.id.clone()),
        ("name", template.name.clone()),
        ("image", template.image.clone()),
        ("command", or_none(template.command.as_ref().map(|words| words.join(" ")))),
        ("environment", list(names.collect())),
        ("ports", list(template.ports.iter().map(port).collect())),
        ("credentials", or_none(template.registry_credentials_id.as_ref())),
        ("made", time(&template.created_at)),
        ("changed", time(&template.updated_at)),
    ])
}
