//! What Podman has forgotten is cleared away, and nothing else is. A service that is killed at the right
//! moment forgets a container now and then (`cargo xtask chaos`); here a monitor is run as Podman runs it, for
//! a container that Podman never knew.

use crate::conformance;
use crate::engine::{Site, ground};
use crate::poll::until;
use podbay_core::PodId;
use podbay_core::pod::MachinePhase;
use podbay_provider::Provider;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The words of every monitor that runs.
fn monitors() -> Vec<Vec<String>> {
    let lines = fs::read_dir("/proc").unwrap().flatten();
    let lines = lines.filter_map(|entry| fs::read_to_string(entry.path().join("cmdline")).ok());
    let words = lines.map(|line| line.split_terminator('\0').map(str::to_owned).collect::<Vec<_>>());
    words.filter(|words| words.first().is_some_and(|word| word.ends_with("conmon"))).collect()
}

fn value<'a>(words: &'a [String], flag: &str) -> &'a str {
    &words[words.iter().position(|word| word == flag).unwrap() + 1]
}

/// A container of a monitor that no engine knows.
struct Forgotten {
    id: String,
    name: String,
    runtime: String,
    folder: PathBuf,
}

impl Forgotten {
    /// As that of the machine `like` is run, under other names; `storage` where it claims to lie elsewhere.
    fn run(like: &str, name: &str, storage: Option<&str>) -> Self {
        let all = monitors();
        let words = all.iter().find(|words| value(words, "-n") == like).expect("a monitor").clone();
        let (known, bundle) = (value(&words, "-c").to_owned(), value(&words, "-b").to_owned());
        // As long as an id is, and as unlikely to be another's.
        let id =
            format!("{:0>32}{}", std::process::id(), PodId::parse(name.split('-').nth(1).unwrap()).unwrap());
        let folder = std::env::temp_dir().join(&id);
        fs::create_dir_all(&folder).unwrap();
        let config = fs::read_to_string(Path::new(&bundle).join("config.json")).unwrap();
        let mut config: Value = serde_json::from_str(&config).unwrap();
        let group = config["linux"]["cgroupsPath"].as_str().unwrap().replace(&known, &id);
        config["linux"]["cgroupsPath"] = group.into();
        fs::write(folder.join("config.json"), config.to_string()).unwrap();

        let place = folder.to_str().unwrap();
        let (root, exits) = (value(&words, "--root"), value(&words, "--exit-dir"));
        let storage_at = words.iter().position(|word| word == "--root").unwrap() + 2;
        let temporary = PathBuf::from(value(&words, "-p"));
        let temporary = temporary.parent().unwrap().to_str().unwrap();
        assert_eq!(root, "--exit-command-arg");
        let mut words: Vec<String> = words
            .iter()
            .map(|word| word.replace(&bundle, place).replace(temporary, place).replace(exits, place))
            .map(|word| word.replace(&known, &id).replace(like, name))
            .collect();
        if let Some(storage) = storage {
            words[storage_at] = storage.to_owned();
        }
        let mut monitor = Command::new(&words[0]);
        monitor.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::null());
        assert!(monitor.status().unwrap().success());
        let runtime = value(&words, "-r").to_owned();
        Self { id, name: name.to_owned(), runtime, folder }
    }

    fn runtime(&self, words: &[&str]) -> bool {
        let mut command = Command::new(&self.runtime);
        command.args(words).arg(&self.id).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().unwrap().success()
    }

    /// The monitor starts the container after it has gone into the background.
    async fn start(&self) {
        until("a container", async || self.runtime(&["start"]).then_some(())).await;
    }

    /// Where this machine still shows it.
    fn traces(&self) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        found.extend(
            monitors().iter().filter(|words| value(words, "-c") == self.id).map(|_| "monitor".into()),
        );
        found.extend(self.runtime(&["state"]).then(|| "runtime".into()));
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let groups = fs::read_to_string(entry.path().join("cgroup")).unwrap_or_default();
            found.extend(groups.contains(&self.id).then(|| "process".into()));
        }
        let groups =
            Command::new("find").args(["/sys/fs/cgroup", "-name", &format!("*{}*", self.id)]).output();
        found.extend((!groups.unwrap().stdout.is_empty()).then(|| "control group".into()));
        found
    }
}

impl Drop for Forgotten {
    fn drop(&mut self) {
        // With its container, a monitor ends by itself.
        self.runtime(&["delete", "--force"]);
        let groups = ["/sys/fs/cgroup", "-depth", "-type", "d", "-name"];
        let name = format!("*{}*", self.id);
        let _ = Command::new("find").args(groups).args([&name, "-exec", "rmdir", "{}", ";"]).status();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn name(number: u128, attempt: u32) -> String {
    format!("podbay-{}-{attempt}", PodId::from_bits(0xf0_0000_0000_0000_0000_0000_0000_0000 + number))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_podman_has_forgotten_is_seen_and_cleared_away_and_nothing_else() {
    let Some(site) = Site::open("forgotten").await else { return };
    let folder = site.state_dir().join("pods");
    site.run(|engine| async move {
        if !engine.facts().await.unwrap().engine.starts_with("podman") {
            println!("left out: the engine is not Podman");
            return;
        }
        let ground = ground();
        let image = conformance::image(&*engine, &ground.image).await.unwrap();
        let alive = conformance::spec(&ground, &image, 0x51, Vec::new());
        engine.machine_create(&alive).await.unwrap();
        engine.machine_start(&alive.name).await.unwrap();

        let ours = Forgotten::run(&alive.name, &name(1, 2), None);
        let waiting = Forgotten::run(&alive.name, &name(2, 1), None);
        let unmarked = Forgotten::run(&alive.name, &name(3, 1), None);
        let elsewhere = Forgotten::run(&alive.name, &name(4, 1), Some("/var/lib/somebody/else"));
        ours.start().await;
        for marked in [&ours, &waiting, &elsewhere] {
            fs::create_dir(folder.join(&marked.name)).unwrap();
        }
        until("monitors that have begun", async || {
            let all = [&waiting, &unmarked, &elsewhere];
            all.iter().all(|one| one.runtime(&["state"])).then_some(())
        })
        .await;

        let mut listed = engine.machine_list().await.unwrap();
        listed.sort_by(|a, b| a.name.cmp(&b.name));
        let names: Vec<&str> = listed.iter().map(|machine| machine.name.as_str()).collect();
        assert_eq!(names, [&ours.name, &waiting.name, &alive.name]);
        assert_eq!(listed[0].pod_id, PodId::parse(ours.name.split('-').nth(1).unwrap()));
        let seen = engine.machine_inspect(&ours.name).await.unwrap().expect("it is there");
        assert!(matches!(seen.phase, MachinePhase::Exited { at: None, .. }), "{seen:?}");
        assert_eq!(engine.machine_inspect(&elsewhere.name).await.unwrap(), None);

        let everywhere = ["monitor", "runtime", "process", "control group"];
        assert!(everywhere.iter().all(|place| ours.traces().iter().any(|trace| trace == place)));
        for one in [&ours, &waiting, &elsewhere] {
            engine.machine_remove(&one.name).await.unwrap();
        }
        for gone in [&ours, &waiting] {
            assert_eq!(gone.traces(), [""; 0], "{}", gone.name);
            assert_eq!(engine.machine_inspect(&gone.name).await.unwrap(), None);
            assert!(!folder.join(&gone.name).exists());
        }
        for left in [&unmarked, &elsewhere] {
            assert!(left.traces().contains(&"monitor".to_owned()), "{}", left.name);
        }
        let seen = engine.machine_inspect(&alive.name).await.unwrap().expect("it is alive");
        assert!(matches!(seen.phase, MachinePhase::Running { .. }), "{seen:?}");
        engine.machine_remove(&alive.name).await.unwrap();
    })
    .await;
}
