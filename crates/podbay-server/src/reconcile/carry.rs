//! Carries one step out: the only place where the reconciler speaks to a provider.

use super::driver::Flight;
use super::files;
use crate::app::registry_credentials::reveal;
use crate::app::templates::LOST;
use crate::app::{App, Error};
use podbay_core::disk::volume_name;
use podbay_core::limits;
use podbay_core::pod::{
    CallError, Desired, FailureCode, Learned, MachinePhase, Pod, Resource, Step, has_gap,
};
use podbay_core::published::GpuType;
use podbay_provider::{Credentials, ImageRequest, MachineSpec, Mount, Provider, PullProgress, Stream};
use std::time::Duration;
use tokio::io::AsyncReadExt;

/// Lines and characters that are kept of the log of a failed attempt.
const KEPT_LINES: u32 = 20;
const KEPT_CHARS: usize = 4000;

/// Does `step` and says what it taught. An `Err` is a failure of ours (rows, files), not of the step.
pub(super) async fn carry_out(app: &App, pod: &Pod, step: &Step, flight: &Flight) -> Result<Learned, Error> {
    if let Step::NextAttempt | Step::Fail(_) | Step::Release | Step::Finish = step {
        return Ok(Learned::Decided(step.clone()));
    }
    let provider = &app.host(&pod.host)?.provider;
    Ok(match step {
        Step::Inspect => inspect(app, pod).await?,
        Step::EnsureImage => ensure_image(app, pod, flight).await?,
        Step::Create => Learned::Created(match machine_spec(app, pod).await? {
            Some(spec) => provider.machine_create(&spec).await,
            None => Err(CallError::NotSent("the pod holds no resources".into())),
        }),
        Step::Start => {
            let handle = handle(pod);
            Learned::Started(provider.machine_start(&handle).await.map(|()| handle))
        }
        Step::Probe => probe(app, provider.as_ref(), pod, flight).await,
        Step::Stop => Learned::Stopped(provider.machine_stop(&handle(pod), limits::STOP_GRACE).await),
        Step::Remove => {
            if pod.attempt_failed.is_some() || pod.failure.is_some() {
                keep_log(app, provider.as_ref(), pod).await;
            }
            Learned::Removed(provider.machine_remove(&handle(pod)).await)
        }
        Step::NextAttempt | Step::Fail(_) | Step::Release | Step::Finish => Learned::Decided(step.clone()),
    })
}

/// Looks, and for a machine that is gone, ended or was restarted without a word also when it was last seen
/// to run.
async fn inspect(app: &App, pod: &Pod) -> Result<Learned, Error> {
    let found = app.host(&pod.host)?.provider.machine_inspect(&pod.machine_name()).await;
    let fact = found.as_ref().map(Option::as_ref);
    let has_gap = fact.is_ok_and(|fact| has_gap(pod, fact));
    let is_untold = fact.is_ok_and(|fact| {
        fact.is_none_or(|fact| matches!(fact.phase, MachinePhase::Exited { at: None, .. }))
    });
    let last_seen = if (has_gap || is_untold || pod.desired == Desired::Gone) && pod.ready_at.is_some() {
        app.store.reader().await?.host_seen(&pod.host).await?
    } else {
        None
    };
    Ok(Learned::Inspected { found, last_seen, has_gap })
}

/// A look at a machine that is to be removed and that the row believes to run: what it says of its end, which
/// is what the bill ends at, is lost with it. An answer is what was learned instead of the removal.
pub(super) async fn last_look(app: &App, pod: &Pod) -> Result<Option<Learned>, Error> {
    let runs =
        matches!(&pod.machine, Resource::Present(last) if matches!(last.phase, MachinePhase::Running { .. }));
    if pod.desired != Desired::Gone || pod.ready_at.is_none() || !runs {
        return Ok(None);
    }
    let learned = inspect(app, pod).await?;
    let Learned::Inspected { found: Ok(found), has_gap, .. } = &learned else { return Ok(Some(learned)) };
    let ended =
        *has_gap || found.as_ref().is_some_and(|found| matches!(found.phase, MachinePhase::Exited { .. }));
    Ok(ended.then_some(learned))
}

/// Saves the last words of a machine that failed before it is cleared away: they are the reason
/// that its owner looks for. What cannot be had does not hold the removal up.
async fn keep_log(app: &App, provider: &dyn Provider, pod: &Pod) {
    let Ok(logs) = provider.machine_logs(&handle(pod), KEPT_LINES).await else { return };
    let lines: Vec<&str> = logs.lines.iter().map(|line| line.text.as_str()).collect();
    let text: String = lines.join("\n").chars().take(KEPT_CHARS).collect();
    if text.is_empty() {
        return;
    }
    let (id, now) = (pod.id.clone(), app.now());
    let kept = app.store.write(move |tx| {
        Box::pin(async move { Ok::<_, Error>(tx.event_insert(Some(&id), now, "attempt.log", &text).await?) })
    });
    if let Err(error) = kept.await {
        tracing::warn!(pod = %pod.id, ?error, "the log of a failed attempt was not kept");
    }
}

fn handle(pod: &Pod) -> String {
    match &pod.machine {
        Resource::Present(machine) => machine.handle.clone(),
        _ => pod.machine_name(),
    }
}

/// Fetches the image, writing progress as it comes: 0 to 70 of the installation's 100. Given up
/// when the user changes their mind.
async fn ensure_image(app: &App, pod: &Pod, flight: &Flight) -> Result<Learned, Error> {
    let reference = pod.spec.image_reference.clone();
    let credentials = match credentials(app, pod).await? {
        Ok(credentials) => credentials,
        Err(refused) => return Ok(Learned::ImageEnsured(Err(refused))),
    };
    let request = ImageRequest { reference, digest: pod.image_digest.clone(), credentials };
    let (sender, mut receiver) = tokio::sync::watch::channel(0u8);
    let sink = move |progress: PullProgress| {
        let percent = percent_of_pull(progress);
        sender.send_if_modified(|current| {
            let grown = percent > *current;
            *current = percent.max(*current);
            grown
        });
    };
    let write_progress = async {
        while receiver.changed().await.is_ok() {
            let percent = *receiver.borrow_and_update();
            if let Err(error) = progress_write(app, pod, percent).await {
                tracing::warn!(pod = %pod.id, ?error, "progress");
            }
        }
        std::future::pending::<()>().await;
    };
    let provider = &app.host(&pod.host)?.provider;
    let fetch = async {
        let _permit = app.driver.fetches.acquire().await.ok();
        provider.image_ensure(&request, &sink).await
    };
    let left = limits::PROVISIONING_MAX.saturating_sub(app.now().since(pod.created_at));
    Ok(tokio::select! {
        biased;
        () = flight.changed.notified() => Learned::Cancelled,
        answer = fetch => Learned::ImageEnsured(answer),
        () = write_progress => Learned::Cancelled,
        // The plan says what that means.
        () = tokio::time::sleep(left) => Learned::Cancelled,
    })
}

/// What the image of a pod is fetched with: the template's credentials, or the owner's for an image that
/// the owner offers. A template never gets the owner's: its image is anybody's choice.
async fn credentials(app: &App, pod: &Pod) -> Result<Result<Option<Credentials>, CallError>, Error> {
    let refused = |permanent, text: &str| {
        let (code, text) = (FailureCode::ImageDenied, text.to_owned());
        Ok(Err(CallError::Refused { code, permanent, text }))
    };
    let Some(template) = &pod.spec.template else {
        return match app.config.credentials(&pod.spec.image_reference) {
            Ok(credentials) => Ok(Ok(credentials)),
            Err(error) => {
                tracing::error!(%error, "credentials of a registry");
                refused(false, "the owner's credentials for this registry cannot be read")
            }
        };
    };
    let Some(id) = &template.credentials else { return Ok(Ok(None)) };
    let Some(row) = app.store.reader().await?.credentials_get(&pod.user_id, id).await? else {
        return refused(true, "the registry credentials of the pod's template were deleted");
    };
    match reveal(app, &row) {
        Some(credentials) => Ok(Ok(Some(credentials))),
        None => refused(true, LOST),
    }
}

fn percent_of_pull(progress: PullProgress) -> u8 {
    let percent = progress.bytes.saturating_mul(69).checked_div(progress.total).unwrap_or(0);
    u8::try_from(percent.min(69)).unwrap_or(69)
}

async fn progress_write(app: &App, pod: &Pod, percent: u8) -> Result<(), Error> {
    let (id, attempt, now) = (pod.id.clone(), pod.attempt, app.now());
    app.store
        .write(move |tx| {
            Box::pin(async move { Ok::<_, Error>(tx.pod_progress(&id, attempt, percent, now).await?) })
        })
        .await
        .map(|_| ())
}

/// `None` if the pod has been given up and holds nothing any more.
async fn machine_spec(app: &App, pod: &Pod) -> Result<Option<MachineSpec>, Error> {
    let (Some(placement), Resource::Present(image)) = (&pod.placement, &pod.image) else { return Ok(None) };
    let mut env = vec![("PODBAY_POD_ID".to_owned(), pod.id.to_string())];
    if pod.spec.gpu_type == GpuType::CpuNode {
        // Images built for GPUs carry a default of "all", which a hook on the host would obey.
        env.push(("NVIDIA_VISIBLE_DEVICES".to_owned(), "void".to_owned()));
    }
    env.extend(pod.spec.env.iter().cloned());
    Ok(Some(MachineSpec {
        pod_id: pod.id.clone(),
        name: pod.machine_name(),
        image: image.clone(),
        image_reference: pod.spec.image_reference.clone(),
        env,
        vcpus: pod.spec.vcpus,
        memory_gb: pod.spec.memory_gb,
        disk_gb: pod.spec.disk_gb,
        gpus: placement.gpus.clone(),
        ports: placement.ports.clone(),
        mounts: mounts(app, pod).await?,
        bind: app.config.bind(),
        files: files::all(app, pod, image).await?,
    }))
}

async fn mounts(app: &App, pod: &Pod) -> Result<Vec<Mount>, Error> {
    let attachments = app.store.reader().await?.attachments_of_pods(std::slice::from_ref(&pod.id)).await?;
    let mount = |found: podbay_core::disk::Attachment| Mount {
        volume: volume_name(&found.disk_id),
        path: found.mount_path,
    };
    Ok(attachments.into_iter().map(mount).collect())
}

/// Looks for an SSH banner through the published address, for a little while.
async fn probe(app: &App, provider: &dyn Provider, pod: &Pod, flight: &Flight) -> Learned {
    let Some(port) = pod.placement.as_ref().and_then(|placement| placement.ssh_port()) else {
        return Learned::Probed(false);
    };
    let look = async {
        let mut wait = Duration::from_millis(2);
        loop {
            if let Ok(stream) = provider.dial_published(app.config.advertised(), port).await
                && banner(stream).await
            {
                return true;
            }
            if app.tuning.probe_window.is_zero() {
                return false;
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(Duration::from_millis(50));
        }
    };
    if app.tuning.probe_window.is_zero() {
        return Learned::Probed(look.await);
    }
    tokio::select! {
        seen = tokio::time::timeout(app.tuning.probe_window, look) => Learned::Probed(seen.unwrap_or(false)),
        () = flight.changed.notified() => Learned::Cancelled,
    }
}

/// Whether the other side speaks first, and SSH. A port forwarder accepts long before anybody
/// listens behind it, so an open connection says nothing.
async fn banner(mut stream: Box<dyn Stream>) -> bool {
    let mut head = [0; 4];
    stream.read_exact(&mut head).await.is_ok() && head == *b"SSH-"
}
