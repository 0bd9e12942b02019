//! The suites on a real engine: the one that `Engine::connect` finds, or the one whose socket
//! `PODBAY_TEST_ENGINE_URL` names. `cargo xtask test` has the images made and sets
//! `PODBAY_TEST_ENGINE`; without it these tests say that they were left out.

use crate::conformance::{self, Ground};
use crate::inside;
use crate::poll::until;
use podbay_core::InstallId;
use podbay_core::pod::CallError;
use podbay_provider::Provider;
use podbay_provider::engine::{Engine, Settings};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

const NONROOT: &str = "localhost/podbay/nonroot:latest";

pub fn ground() -> Ground {
    Ground {
        image: "localhost/podbay/busybox:latest".into(),
        image_absent: "localhost/podbay/there-is-none:latest".into(),
        ports: || {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap().port()
        },
    }
}

/// An engine with a folder and an installation of its own, both gone afterwards.
pub struct Site {
    settings: Settings,
    engine: Arc<Engine>,
}

impl Site {
    /// Whether engines are not to be touched.
    pub fn left_out() -> bool {
        let left_out = std::env::var_os("PODBAY_TEST_ENGINE").is_none();
        if left_out {
            println!("left out: PODBAY_TEST_ENGINE is not set");
        }
        left_out
    }

    /// A folder of that test's own.
    pub fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("podbay-it-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// On the engine that is to be tested, if one is.
    pub async fn open(name: &str) -> Option<Self> {
        if Self::left_out() {
            return None;
        }
        let url = std::env::var_os("PODBAY_TEST_ENGINE_URL").map(|url| url.to_string_lossy().into_owned());
        Some(Self::at(Self::folder(name), url).await)
    }

    /// On the engine at `url`, or the one that is found.
    pub async fn at(folder: PathBuf, url: Option<String>) -> Self {
        let agent_path = folder.join("agent/podbay-agent");
        fs::create_dir_all(folder.join("agent")).unwrap();
        fs::write(&agent_path, inside::AGENT).unwrap();
        fs::set_permissions(&agent_path, fs::Permissions::from_mode(0o755)).unwrap();
        let bits = u128::from(std::process::id()) << 64 | folder.as_os_str().len() as u128;
        let settings = Settings {
            url,
            install_id: InstallId::from_bits(bits),
            state_dir: folder.join("state"),
            socket_name: "podman.sock".into(),
            agent_path,
            vcpus: None,
            memory_gb: None,
            disk_gb: None,
            memory_reserve_gb: 1,
        };
        Self { engine: Arc::new(connect(&settings).await), settings }
    }

    /// The folder of the engine's own files.
    pub fn state_dir(&self) -> PathBuf {
        self.settings.state_dir.clone()
    }

    /// Runs `test`, and cleans up whatever it comes to.
    pub async fn run<F: Future<Output = ()> + 'static>(self, test: impl FnOnce(Arc<Engine>) -> F) {
        let local = tokio::task::LocalSet::new();
        let task = local.spawn_local(test(self.engine.clone()));
        let outcome = local.run_until(task).await;
        for machine in self.engine.machine_list().await.unwrap_or_default() {
            println!("left over: {machine:?}");
            let _ = self.engine.machine_remove(&machine.fact.handle).await;
        }
        for volume in self.engine.volume_list().await.unwrap_or_default() {
            println!("left over: {volume:?}");
            let _ = self.engine.volume_remove(&volume.name).await;
        }
        let folders = fs::read_dir(self.settings.state_dir.join("pods")).unwrap().count();
        drop(self.engine);
        let _ = fs::remove_dir_all(self.settings.state_dir.parent().unwrap());
        if let Err(error) = outcome {
            std::panic::resume_unwind(error.into_panic());
        }
        assert_eq!(folders, 0, "folders of machines are left");
    }
}

/// An engine that is just being run may need a moment more than the tests beside it leave it.
async fn connect(settings: &Settings) -> Engine {
    until("an engine", async || match Engine::connect(settings.clone()).await {
        Ok(engine) => Some(engine),
        Err(error) => {
            println!("{error}");
            None
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_engine_keeps_the_contract() {
    let Some(site) = Site::open("contract").await else { return };
    site.run(|engine| async move { conformance::suite(&*engine, &ground()).await }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_are_as_ordered_from_inside() {
    let Some(site) = Site::open("inside").await else { return };
    site.run(|engine| async move { inside::suite(&*engine, &ground(), NONROOT).await }).await;
}

/// A machine outlives the engine's service and ours, and is found again.
#[tokio::test(flavor = "multi_thread")]
async fn machines_outlive_the_server() {
    let Some(site) = Site::open("outlive").await else { return };
    let ground = ground();
    let image = conformance::image(&*site.engine, &ground.image).await.unwrap();
    let spec = conformance::spec(&ground, &image, 0x21, Vec::new());
    let handle = site.engine.machine_create(&spec).await.unwrap();
    site.engine.machine_start(&handle).await.unwrap();
    let Site { settings, engine } = site;
    drop(engine);
    let site = Site { engine: Arc::new(connect(&settings).await), settings };
    site.run(|engine| async move {
        let found = engine.machine_inspect(&spec.name).await.unwrap().expect("it is still there");
        assert!(matches!(found.phase, podbay_core::pod::MachinePhase::Running { .. }), "{found:?}");
        engine.machine_remove(&handle).await.unwrap();
    })
    .await;
}

/// Numbers of the processes of Podman's service for that folder.
fn services(folder: &std::path::Path) -> Vec<i32> {
    let socket = format!("unix://{}/podman.sock", folder.display());
    let of = |entry: fs::DirEntry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let words = fs::read(entry.path().join("cmdline")).ok()?;
        words.split(|byte| *byte == 0).any(|word| word == socket.as_bytes()).then_some(pid)
    };
    fs::read_dir("/proc").unwrap().filter_map(Result::ok).filter_map(of).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn podmans_service_is_run_again_and_ends_with_us() {
    let Some(site) = Site::open("service").await else { return };
    let folder = site.settings.state_dir.clone();
    let Some(pid) = services(&folder).pop() else {
        println!("left out: the engine is not run by us");
        return site.run(|_| async {}).await;
    };
    site.run({
        let folder = folder.clone();
        |engine| async move {
            std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
            until("an end", async || match engine.ping().await {
                Ok(()) => None,
                Err(error) => {
                    assert!(!matches!(error, CallError::Refused { .. }), "{error}");
                    Some(())
                }
            })
            .await;
            until("a new beginning", async || engine.ping().await.ok()).await;
            assert_ne!(services(&folder), [pid]);
        }
    })
    .await;
    assert_eq!(services(&folder), [0; 0], "the service outlives us");
}

/// What takes long and proves nothing; only where it is asked for.
async fn measurement(name: &str) -> Option<Site> {
    if std::env::var_os("PODBAY_TEST_LATENCY").is_none() {
        println!("left out: PODBAY_TEST_LATENCY is not set");
        return None;
    }
    Site::open(name).await
}

/// Many at once, while somebody keeps asking for the list.
#[tokio::test(flavor = "multi_thread")]
async fn crowd() {
    let Some(site) = measurement("crowd").await else { return };
    site.run(|engine| async move {
        let ground = ground();
        let image = conformance::image(&*engine, &ground.image).await.unwrap();
        let begin = Instant::now();
        let one = |number: u128| {
            let (engine, spec) =
                (engine.clone(), conformance::spec(&ground, &image, 0x40 + number, Vec::new()));
            async move {
                engine.machine_create(&spec).await.unwrap();
                engine.machine_start(&spec.name).await.unwrap();
                let started = begin.elapsed();
                engine.machine_stop(&spec.name, Duration::ZERO).await.unwrap();
                engine.machine_remove(&spec.name).await.unwrap();
                (started, begin.elapsed())
            }
        };
        let all = futures_util::future::join_all((0..16).map(one));
        let lists = async {
            let mut count = 0;
            loop {
                engine.machine_list().await.unwrap();
                count += 1;
                println!("list {count} at {} ms", begin.elapsed().as_millis());
            }
        };
        tokio::select! {
            times = all => println!("started, removed: {times:?}"),
            () = lists => {}
        }
    })
    .await;
}

/// `PODBAY_TEST_ENGINE=1 PODBAY_TEST_LATENCY=1 cargo test -p podbay-provider --test it latency -- --nocapture`
#[tokio::test(flavor = "multi_thread")]
async fn latency() {
    let Some(site) = measurement("latency").await else { return };
    site.run(|engine| async move {
        let ground = ground();
        let image = conformance::image(&*engine, &ground.image).await.unwrap();
        let neighbour = std::env::var_os("PODBAY_TEST_NEIGHBOUR").is_some();
        let other = conformance::spec(&ground, &image, 0x32, Vec::new());
        if neighbour {
            engine.machine_create(&other).await.unwrap();
            engine.machine_start(&other.name).await.unwrap();
        }
        let mut times: [Vec<Duration>; 5] = Default::default();
        for _ in 0..30 {
            let spec = conformance::spec(&ground, &image, 0x31, Vec::new());
            let begin = Instant::now();
            engine.machine_create(&spec).await.unwrap();
            let created = Instant::now();
            engine.machine_start(&spec.name).await.unwrap();
            let started = Instant::now();
            engine.machine_inspect(&spec.name).await.unwrap();
            let inspected = Instant::now();
            engine.machine_remove(&spec.name).await.unwrap();
            let removed = Instant::now();
            let spans = [
                created - begin,
                started - created,
                started - begin,
                inspected - started,
                removed - inspected,
            ];
            times.iter_mut().zip(spans).for_each(|(times, span)| times.push(span));
        }
        println!("neighbour={neighbour}, ms p50/p95");
        for (name, times) in ["create", "start", "create+start", "inspect", "remove"].iter().zip(&mut times) {
            times.sort();
            println!("{name:>12} {:>5} {:>5}", times[15].as_millis(), times[28].as_millis());
        }
        if neighbour {
            engine.machine_remove(&other.name).await.unwrap();
        }
    })
    .await;
}

/// Podman keeps the record of a container whose removal was cut off, and then answers 500 to every
/// list that it is in. It must neither hide the others nor stay.
#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_was_cut_off_is_seen_and_finished() {
    if std::env::var_os("PODBAY_TEST_ENGINE").is_some_and(|name| name == "docker") {
        println!("left out: the engine is not Podman");
        return;
    }
    let Some(site) = Site::open("cut-off").await else { return };
    let ground = ground();
    site.run(|engine| async move {
        let image = conformance::image(&*engine, &ground.image).await.unwrap();
        let other = conformance::spec(&ground, &image, 0x31, Vec::new());
        engine.machine_create(&other).await.unwrap();
        if !engine.facts().await.unwrap().engine.starts_with("podman") {
            println!("left out: the engine is not Podman");
            return engine.machine_remove(&other.name).await.unwrap();
        }
        let mut met = 0;
        // A removal that is cut off too early has changed nothing, and one that is cut off too late is
        // done; what is looked for lies between.
        let (mut early, mut late) = (Duration::ZERO, None);
        for _ in 0..CUTS_MAX {
            let spec = conformance::spec(&ground, &image, 0x32, Vec::new());
            let handle = engine.machine_create(&spec).await.unwrap();
            let state = cut_off(&spec.name, &mut early, &mut late).await;
            met += u32::from(state == "removing");
            let listed = engine.machine_list().await.unwrap_or_else(|error| panic!("{state}: {error}"));
            assert!(
                listed.iter().any(|machine| machine.name == other.name),
                "{state}: the others are hidden"
            );
            let seen = engine.machine_inspect(&spec.name).await.unwrap();
            assert_eq!(seen.is_some(), !state.is_empty(), "{state}: {seen:?}");
            engine.machine_remove(&handle).await.unwrap();
            assert_eq!(engine.machine_inspect(&spec.name).await.unwrap(), None, "after {state}");
            if met == 2 {
                break;
            }
        }
        assert!(met > 0, "no removal was cut off half-way in {CUTS_MAX} tries");
        engine.machine_remove(&other.name).await.unwrap();
    })
    .await;
}

/// Most removals that are cut off until one is half done.
const CUTS_MAX: u32 = 60;

/// Begins a removal and kills it between the two moments; the state it leaves. The moments come
/// nearer to each other; the first removal is not cut off, and says how long one takes.
async fn cut_off(name: &str, early: &mut Duration, late: &mut Option<Duration>) -> String {
    let begin = Instant::now();
    let mut removal = std::process::Command::new("podman")
        .args(["rm", "--force", name])
        .stderr(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let Some(most) = *late else {
        removal.wait().unwrap();
        *late = Some(begin.elapsed());
        return podman_state(name);
    };
    let moment = (*early + most) / 2;
    // The moment of the cut is what is tried, so it has to be a time.
    let _ = tokio::time::timeout(moment, std::future::pending::<()>()).await;
    removal.kill().unwrap();
    removal.wait().unwrap();
    let state = podman_state(name);
    match state.as_str() {
        "" => *late = Some(moment),
        "removing" => {}
        _ => *early = moment,
    }
    // How long it takes has changed.
    if late.is_none_or(|late| late < *early + Duration::from_millis(2)) {
        (*early, *late) = (Duration::ZERO, None);
    }
    state
}

/// The state by Podman's own list; empty if there is no such container.
fn podman_state(name: &str) -> String {
    let filter = format!("name=^{name}$");
    let arguments = ["ps", "--all", "--filter", &filter, "--format", "{{.State}}"];
    let output = std::process::Command::new("podman").args(arguments).output().unwrap();
    String::from_utf8_lossy(&output.stdout).trim().to_lowercase()
}
