//! `podbay pods create`.

use super::look;
use crate::commands::{disks, teams};
use crate::context::Context;
use crate::environment;
use crate::failure::{Failure, Result};
use crate::wait::{self, Goal};
use crate::{find, secret};
use clap::Args;
use podbay_api::Term;
use podbay_api::availability::GpuAvailability;
use podbay_api::client::{Client, Error, OfferFilter};
use podbay_api::pods::{CreatePod, EnvVar, PodRequest, ProviderRef, TeamRef};
use podbay_core::published::{ImageName, ProviderType, Socket};
use std::path::PathBuf;
use std::time::Duration;

/// Order a pod
#[derive(Debug, Args)]
pub struct Create {
    /// Display name [default: the server makes one up]
    name: Option<String>,
    /// What to order; `podbay offers` lists it
    #[arg(long, value_name = "OFFER")]
    offer: String,
    /// Image [default: the server's]
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
    /// Template instead of an image: id, beginning of one, or name
    #[arg(long, value_name = "TEMPLATE", conflicts_with = "image")]
    template: Option<String>,
    /// Start Jupyter, with the password in this file, or on stdin for -
    #[arg(long, value_name = "FILE")]
    jupyter_password_file: Option<PathBuf>,
    /// Disk in GB [default: the offer's]
    #[arg(long, value_name = "GB")]
    disk_size: Option<u32>,
    /// vCPUs [default: the offer's]
    #[arg(long, value_name = "NUMBER")]
    vcpus: Option<u32>,
    /// Memory in GB [default: the offer's]
    #[arg(long, value_name = "GB")]
    memory: Option<u32>,
    /// Highest price in dollars per hour
    #[arg(long, value_name = "DOLLARS")]
    max_price: Option<f64>,
    /// Variable of the pod's environment; NAME alone takes its value from here, so that a secret
    /// is no argument. May be given several times
    #[arg(long = "env", short, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Persistent disk to attach, by id, beginning of one, or name. May be given several times: the
    /// first is at /workspace, the second at /workspace-2
    #[arg(long = "disk", value_name = "DISK")]
    disks: Vec<String>,
    /// Start it again if it ends by itself
    #[arg(long)]
    auto_restart: bool,
    /// Team that shall own and pay for it: id, beginning of one, or name
    #[arg(long)]
    team: Option<String>,
    /// Let every member of the team log in
    #[arg(long, requires = "team")]
    share_with_team: bool,
    /// Let this member of the team log in: id, beginning of one, or name; may be given several times
    #[arg(long = "member", value_name = "MEMBER", requires = "team", conflicts_with = "share_with_team")]
    members: Vec<String>,
    /// Wait until it is installed
    #[arg(long)]
    wait: bool,
    /// Longest wait
    #[arg(long, value_name = "DURATION", default_value = "30m", value_parser = wait::duration, requires = "wait")]
    timeout: Duration,
}

impl Create {
    /// Orders it.
    pub async fn run(self, context: &mut Context<'_>) -> Result<()> {
        let client = context.client()?;
        let (wait, timeout) = (self.wait, self.timeout);
        let env_vars = self.env.iter().map(|text| env_var(text)).collect::<Result<Vec<_>>>()?;
        let image = match self.template {
            Some(_) => Some(ImageName::CustomTemplate),
            None => self.image.as_deref().map(image).transpose()?,
        };
        let offer = find_offer(&client, &self.offer).await?;
        let disks = self.find_disks(&client).await?;
        let password = self.jupyter_password_file.as_deref().map(secret::read).transpose()?;
        let template = match &self.template {
            Some(text) => Some(find::one(client.templates().await?, text, "template")?.id),
            None => None,
        };
        let (team, members) = self.find_team(&client).await?;
        let mut order = self.order(&offer, image, env_vars)?;
        order.pod.jupyter_password = password;
        order.pod.custom_template_id = template;
        order.team = team.map(|team_id| TeamRef { team_id });
        order.team_member_ids = members;
        order.disks = disks;
        let ordered = client.pod_create(&order).await;
        let mut pod = ordered.map_err(|error| {
            let lost = matches!(error, Error::Unreachable { .. } | Error::Malformed { .. });
            let failure = Failure::from(error);
            let advice = "the order may have arrived: look at `podbay pods list` before you repeat it";
            if lost { failure.hint(advice) } else { failure }
        })?;
        context.terminal.say(&format!("ordered pod {} ({})", pod.name, pod.id));
        if wait {
            context.terminal.say("waiting until it is installed; to interrupt this does not delete it");
            let waited = wait::pod(context, &client, &pod.id, Goal::Installed, timeout).await;
            if let Err(failure) = waited {
                // The id is what a script needs most when the wait went wrong.
                context.show(&pod, look::pod)?;
                return Err(failure);
            }
            pod = client.pod(&pod.id).await?;
        }
        context.show(&pod, look::pod)
    }

    /// Ids of the team and of the members that are meant.
    async fn find_team(&self, client: &Client) -> Result<(Option<String>, Option<Vec<String>>)> {
        let Some(team) = &self.team else { return Ok((None, None)) };
        let team = teams::find_team_id(client, team).await?;
        let mut members = Vec::with_capacity(self.members.len());
        for member in &self.members {
            members.push(teams::find_member(client, &team, member).await?);
        }
        Ok((Some(team), (!members.is_empty()).then_some(members)))
    }

    /// Ids of the disks that are meant.
    async fn find_disks(&self, client: &Client) -> Result<Option<Vec<String>>> {
        let mut ids = Vec::with_capacity(self.disks.len());
        for disk in &self.disks {
            ids.push(disks::find_disk(client, disk).await?.id);
        }
        Ok((!ids.is_empty()).then_some(ids))
    }

    fn order(
        self,
        offer: &GpuAvailability,
        image: Option<ImageName>,
        env_vars: Vec<EnvVar>,
    ) -> Result<CreatePod> {
        let known = |what: &str, word: String| {
            Failure::server(format!("this version of podbay does not know the {what} {word}"))
                .hint("install a newer one")
        };
        let gpu_type = known_or(&offer.gpu_type, |word| known("GPU model", word))?;
        let socket = match &offer.socket {
            Some(socket) => known_or(socket, |word| known("socket", word))?,
            None => Socket::Pcie,
        };
        let provider = match &offer.provider {
            Some(provider) => known_or(provider, |word| known("provider", word))?,
            None => ProviderType::Primecompute,
        };
        let security = match &offer.security {
            Some(security) => Some(known_or(security, |word| known("security class", word))?),
            None => None,
        };
        let pod = PodRequest {
            name: self.name,
            cloud_id: offer.cloud_id.clone(),
            gpu_type,
            socket,
            gpu_count: offer.gpu_count,
            disk_size: self.disk_size,
            vcpus: self.vcpus,
            memory: self.memory,
            max_price: self.max_price,
            image,
            custom_template_id: None,
            data_center_id: offer.data_center.clone(),
            country: offer.country.clone(),
            security,
            env_vars,
            jupyter_password: None,
            ssh_key_id: None,
            auto_restart: Some(self.auto_restart),
            prepaid_for_hr: None,
        };
        Ok(CreatePod {
            pod,
            provider: ProviderRef { kind: provider },
            disks: None,
            team: None,
            team_member_ids: None,
            shared_with_team: self.share_with_team,
        })
    }
}

fn known_or<T: Copy>(term: &Term<T>, failure: impl FnOnce(String) -> Failure) -> Result<T> {
    match term {
        Term::Known(value) => Ok(*value),
        Term::Other(word) => Err(failure(word.clone())),
    }
}

fn image(text: &str) -> Result<ImageName> {
    let names = || ImageName::ALL.iter().map(ToString::to_string).collect();
    ImageName::parse(text).ok_or_else(|| {
        Failure::usage(format!("there is no image `{text}`"))
            .more(names())
            .hint("the server offers some of these; `podbay offers --output json` tells which")
    })
}

/// `NAME=VALUE`, or `NAME` with the value that it has here.
pub fn env_var(text: &str) -> Result<EnvVar> {
    match text.split_once('=') {
        Some((key, value)) => Ok(EnvVar { key: key.to_owned(), value: value.to_owned() }),
        None => environment::variable(text)
            .map(|value| EnvVar { key: text.to_owned(), value })
            .ok_or_else(|| Failure::usage(format!("--env {text}: there is no such variable here"))),
    }
}

async fn find_offer(client: &Client, cloud_id: &str) -> Result<GpuAvailability> {
    let filter = OfferFilter { cloud_id: Some(cloud_id.to_owned()), ..OfferFilter::default() };
    let offers = client.offers_all(&filter).await?;
    let offer = offers.into_iter().find(|offer| offer.cloud_id == cloud_id);
    offer.ok_or_else(|| {
        Failure::not_found(format!("there is no offer `{cloud_id}`"))
            .hint("`podbay offers` lists what can be ordered")
    })
}
