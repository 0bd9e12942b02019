//! The world keeps the contract, and its faults are what they say.

use super::*;
use crate::{Credentials, File, ImageRequest, MachineSpec, Provider, PullProgress};
use podbay_core::place::GpuFact;
use podbay_core::pod::{CallError, FailureCode, GpuSlot, ImageFact, MachinePhase, PublishedPort};
use podbay_core::published::{GpuType, Protocol, Socket};
use podbay_core::{InstallId, PodId};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::io::AsyncReadExt;

const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const IMAGE: &str = "localhost/base";

struct Bench {
    clock: Arc<AtomicI64>,
    world: World,
    fake: Fake,
}

fn bench() -> Bench {
    let clock = Arc::new(AtomicI64::new(1_000));
    let ticking = clock.clone();
    let gpu = |index: u32| GpuFact {
        uuid: format!("GPU-{index}"),
        index,
        gpu_type: GpuType::ALL[0],
        memory_gb: 80,
        socket: Socket::ALL[0],
    };
    let facts = HostFacts {
        vcpus: 8,
        memory_gb: 32,
        disk_gb: 100,
        architecture: "amd64".into(),
        gpus: vec![gpu(0), gpu(1)],
        ..HostFacts::default()
    };
    let world = World::new(facts, move || Timestamp::from_millis(ticking.load(Ordering::SeqCst)));
    world.image(IMAGE, Image::default().exposing("8080/tcp").greeting(8080, b"hello").saying("up"));
    let fake = Fake::new(world.clone(), InstallId::from_bits(1));
    Bench { clock, world, fake }
}

impl Bench {
    fn advance(&self, seconds: i64) {
        self.clock.fetch_add(seconds * 1_000, Ordering::SeqCst);
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.clock.load(Ordering::SeqCst))
    }

    async fn image(&self, reference: &str) -> Answer<ImageFact> {
        let request = ImageRequest { reference: reference.into(), digest: None, credentials: None };
        self.fake.image_ensure(&request, &|_| {}).await
    }

    async fn spec(&self, pod: u128, attempt: u32, port: u16) -> MachineSpec {
        let pod_id = PodId::from_bits(pod);
        MachineSpec {
            name: format!("podbay-{pod_id}-{attempt}"),
            pod_id,
            image: self.image(IMAGE).await.unwrap(),
            image_reference: IMAGE.into(),
            env: Vec::new(),
            vcpus: 1,
            memory_gb: 1,
            disk_gb: 1,
            gpus: Vec::new(),
            ports: vec![
                PublishedPort { internal: 22, external: port, protocol: Protocol::Tcp },
                PublishedPort { internal: 8080, external: port + 1, protocol: Protocol::Tcp },
            ],
            mounts: Vec::new(),
            bind: ADDRESS,
            files: vec![File { name: "host_key", bytes: b"key".to_vec() }],
        }
    }

    async fn up(&self, spec: &MachineSpec) -> String {
        let handle = self.fake.machine_create(spec).await.unwrap();
        self.fake.machine_start(&handle).await.unwrap();
        handle
    }

    /// Exit code, whether for want of memory, and when, of a machine that has ended.
    async fn ended(&self, name: &str) -> Option<(i64, bool, Option<Timestamp>)> {
        match self.phase(name).await? {
            MachinePhase::Exited { code, oom, at, .. } => Some((code, oom, at)),
            _ => None,
        }
    }

    async fn phase(&self, name: &str) -> Option<MachinePhase> {
        self.fake.machine_inspect(name).await.unwrap().map(|fact| fact.phase)
    }

    async fn published(&self, port: u16) -> Answer<String> {
        let mut stream = self.fake.dial_published(ADDRESS, port).await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        Ok(text)
    }
}

use crate::Answer;

fn is_unknown<T>(answer: &Answer<T>) -> bool {
    matches!(answer, Err(CallError::Unknown(_)))
}

fn is_not_sent<T>(answer: &Answer<T>) -> bool {
    matches!(answer, Err(CallError::NotSent(_)))
}

fn refusal<T>(answer: Answer<T>) -> Option<(FailureCode, bool)> {
    match answer {
        Err(CallError::Refused { code, permanent, .. }) => Some((code, permanent)),
        _ => None,
    }
}

#[tokio::test]
async fn a_machine_lives() {
    let bench = bench();
    let spec = bench.spec(1, 1, 3000).await;
    let handle = bench.fake.machine_create(&spec).await.unwrap();
    assert_eq!(bench.phase(&spec.name).await, Some(MachinePhase::Created));
    assert_eq!(bench.fake.machine_create(&spec).await.unwrap(), handle, "the second create adopts");
    assert!(is_not_sent(&bench.published(3000).await));
    bench.advance(2);
    bench.fake.machine_start(&handle).await.unwrap();
    bench.fake.machine_start(&handle).await.unwrap();
    assert_eq!(bench.phase(&spec.name).await, Some(MachinePhase::Running { started_at: bench.now() }));
    assert_eq!(bench.published(3000).await.unwrap(), "SSH-2.0-podbay\r\n");
    assert_eq!(bench.published(3001).await.unwrap(), "hello");
    assert!(is_not_sent(&bench.published(3002).await));
    assert!(bench.fake.dial(&handle, 22).await.is_ok());
    assert!(is_not_sent(&bench.fake.dial(&handle, 23).await));
    bench.world.machine_print(&spec.name, "oops", true);
    let logs = bench.fake.machine_logs(&handle, 1).await.unwrap();
    assert_eq!((logs.lines.len(), logs.lines[0].text.as_str(), logs.lines[0].stderr), (1, "oops", true));
    assert_eq!(bench.fake.machine_logs(&handle, 9).await.unwrap().lines[0].text, "up");
    bench.advance(3);
    assert_eq!(bench.fake.machine_stats(&handle).await.unwrap().cpu_nanos, 3_000_000_000);
    let listed = bench.fake.machine_list().await.unwrap();
    assert_eq!((listed.len(), listed[0].pod_id.as_ref()), (1, Some(&spec.pod_id)));
    bench.fake.machine_stop(&handle, Duration::ZERO).await.unwrap();
    bench.fake.machine_stop(&handle, Duration::ZERO).await.unwrap();
    assert_eq!(bench.ended(&spec.name).await, Some((137, false, Some(bench.now()))));
    bench.fake.machine_remove(&handle).await.unwrap();
    bench.fake.machine_remove(&handle).await.unwrap();
    assert_eq!(bench.phase(&spec.name).await, None);
    assert_eq!(bench.world.file(&spec.name, "host_key"), None, "its files go with it");
    assert_eq!((bench.world.count(), bench.world.running_count()), (0, 0));
    assert_eq!((bench.world.calls(Call::Create), bench.world.pulls(IMAGE)), (2, 1));
    assert_eq!(bench.world.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn images_answer_as_their_registry_does() {
    let bench = bench();
    bench.world.image("denied", Image::denied());
    bench.world.image("bad", Image::bad());
    bench.world.image("arm", Image::default().only_for("arm64"));
    bench.world.image("huge", Image::default().bytes(1 << 50));
    bench.world.image("private", Image::default().private("ada", "secret"));
    assert_eq!(refusal(bench.image("denied").await), Some((FailureCode::ImageDenied, true)));
    assert_eq!(refusal(bench.image("never heard of").await), Some((FailureCode::ImageNotFound, true)));
    assert_eq!(refusal(bench.image("bad").await), Some((FailureCode::ImageReference, true)));
    assert_eq!(refusal(bench.image("arm").await), Some((FailureCode::ImagePlatform, true)));
    assert_eq!(refusal(bench.image("huge").await), Some((FailureCode::DiskFull, false)));
    assert_eq!(refusal(bench.image("private").await), Some((FailureCode::ImageDenied, true)));
    let credentials = Some(Credentials { username: "ada".into(), password: "secret".into() });
    let request = ImageRequest { reference: "private".into(), digest: None, credentials };
    assert!(bench.fake.image_ensure(&request, &|_| {}).await.unwrap().digest.starts_with("sha256:"));
}

#[tokio::test]
async fn a_held_fetch_shows_progress_and_may_be_dropped() {
    let bench = bench();
    let seen = Mutex::new(Vec::new());
    let sink = |progress: PullProgress| seen.lock().unwrap().push(progress.bytes * 100 / progress.total);
    bench.world.hold(Call::ImageEnsure);
    let request = ImageRequest { reference: IMAGE.into(), digest: None, credentials: None };
    tokio::select! {
        biased;
        _ = bench.fake.image_ensure(&request, &sink) => panic!("it is held"),
        () = bench.world.reached(Call::ImageEnsure) => {}
    }
    assert_eq!((bench.world.held(Call::ImageEnsure), bench.world.pulls(IMAGE)), (0, 0), "dropped");
    let (done, ()) = tokio::join!(bench.fake.image_ensure(&request, &sink), async {
        bench.world.reached(Call::ImageEnsure).await;
        assert_eq!(bench.world.held(Call::ImageEnsure), 1);
        bench.world.release(Call::ImageEnsure);
    });
    done.unwrap();
    bench.image(IMAGE).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), [25, 25, 50, 75, 100]);
    bench.world.image_vanish(IMAGE);
    bench.world.fault(Call::ImageEnsure, Fault::PullStalls);
    let stalled = bench.fake.image_ensure(&request, &sink).await;
    assert_eq!(refusal(stalled), Some((FailureCode::ImagePull, false)));
    assert_eq!(seen.lock().unwrap()[5..], [25, 50]);
}

#[tokio::test]
async fn a_call_dropped_before_its_answer_has_had_its_effect() {
    let bench = bench();
    let spec = bench.spec(1, 1, 3000).await;
    bench.world.hold_reply(Call::Create);
    tokio::select! {
        biased;
        _ = bench.fake.machine_create(&spec) => panic!("it is held"),
        () = bench.world.reached(Call::Create) => {}
    }
    assert_eq!(bench.world.count(), 1);
}

#[tokio::test]
async fn lost_and_late_answers_are_unknown_and_have_their_effect() {
    let bench = bench();
    let spec = bench.spec(1, 1, 3000).await;
    bench.world.fault(Call::Create, Fault::NotSent);
    bench.world.fault(Call::Create, Fault::LateEffect(Duration::from_secs(5)));
    assert!(is_not_sent(&bench.fake.machine_create(&spec).await));
    assert!(is_unknown(&bench.fake.machine_create(&spec).await));
    assert_eq!(bench.phase(&spec.name).await, None);
    assert_eq!(bench.world.next_due(), Some(bench.now().plus(Duration::from_secs(5))));
    bench.advance(5);
    assert_eq!(bench.phase(&spec.name).await, Some(MachinePhase::Created));
    assert!(bench.world.machine(&spec.name).unwrap().late);
    let handle = bench.fake.machine_create(&spec).await.unwrap();
    assert!(!bench.world.machine(&spec.name).unwrap().late, "adopted");
    bench.world.fault(Call::Start, Fault::LostReply);
    assert!(is_unknown(&bench.fake.machine_start(&handle).await));
    assert_eq!(bench.world.running_count(), 1);
    bench.world.fault(Call::Remove, Fault::LateEffect(Duration::from_secs(1)));
    assert!(is_unknown(&bench.fake.machine_remove(&handle).await));
    assert_eq!((bench.world.tick(), bench.world.count()), (0, 1));
    bench.advance(1);
    assert_eq!((bench.world.tick(), bench.world.count()), (1, 0));
}

#[tokio::test]
async fn outages_end_when_they_said() {
    let bench = bench();
    let spec = bench.spec(1, 1, 3000).await;
    bench.up(&spec).await;
    let until = bench.now().plus(Duration::from_secs(10));
    bench.world.fault(Call::Ping, Fault::EngineDown(until));
    assert!(is_not_sent(&bench.fake.ping().await));
    assert!(is_not_sent(&bench.fake.machine_inspect(&spec.name).await));
    assert!(bench.published(3000).await.is_ok(), "machines do not need their engine");
    bench.advance(10);
    bench.fake.ping().await.unwrap();
    bench.world.host_gone(bench.now().plus(Duration::from_secs(10)));
    assert!(is_not_sent(&bench.published(3000).await));
    bench.advance(10);
    assert!(bench.published(3000).await.is_ok(), "they ran on");
    bench.world.host_reboot(bench.now());
    assert_eq!(bench.ended(&spec.name).await, Some((255, false, Some(bench.now()))));
}

#[tokio::test]
async fn machines_die_and_vanish_before_the_call_that_sees_it() {
    let bench = bench();
    let spec = bench.spec(1, 1, 3000).await;
    bench.up(&spec).await;
    bench.world.fault(Call::DialPublished, Fault::MachineDies { code: 137, oom: true });
    assert!(is_not_sent(&bench.published(3000).await));
    assert_eq!(bench.ended(&spec.name).await, Some((137, true, Some(bench.now()))));
    bench.world.fault(Call::Inspect, Fault::MachineVanishes);
    assert_eq!(bench.phase(&spec.name).await, None);
    bench.world.fault(Call::Create, Fault::ImageVanishes);
    let answer = bench.fake.machine_create(&spec).await;
    assert_eq!(refusal(answer), Some((FailureCode::ImageNotFound, false)));
}

#[tokio::test]
async fn ssh_that_never_answers_is_a_connection_that_ends() {
    let bench = bench();
    let spec = bench.spec(1, 1, 3000).await;
    bench.up(&spec).await;
    bench.world.machine_ssh(&spec.name, false);
    assert_eq!(bench.published(3000).await.unwrap(), "");
    bench.world.machine_ssh(&spec.name, true);
    bench.world.ssh(false);
    assert_eq!(bench.published(3000).await.unwrap(), "");
    bench.world.image("exits", Image::default().exiting(3));
    let mut spec = bench.spec(2, 1, 4000).await;
    spec.image = bench.image("exits").await.unwrap();
    spec.image_reference = "exits".into();
    bench.up(&spec).await;
    assert_eq!(bench.ended(&spec.name).await, Some((3, false, Some(bench.now()))));
    assert!(is_not_sent(&bench.published(4000).await));
}

#[tokio::test]
async fn another_installation_is_left_alone() {
    let bench = bench();
    let spec = bench.spec(1, 1, 3000).await;
    let handle = bench.up(&spec).await;
    let other = Fake::new(bench.world.clone(), InstallId::from_bits(2));
    assert_eq!(other.machine_list().await.unwrap(), []);
    let answers = [
        refusal(other.machine_inspect(&spec.name).await),
        refusal(other.machine_create(&spec).await),
        refusal(other.machine_remove(&handle).await),
    ];
    assert_eq!(answers, [Some((FailureCode::Engine, true)); 3]);
    assert_eq!(bench.world.running_count(), 1);
}

#[tokio::test]
async fn the_world_notices_what_never_may_happen() {
    let bench = bench();
    let mut first = bench.spec(1, 1, 3000).await;
    first.gpus = vec![GpuSlot { uuid: "GPU-0".into(), index: 0 }];
    bench.up(&first).await;
    let mut second = bench.spec(1, 2, 3000).await;
    let handle = bench.fake.machine_create(&second).await.unwrap();
    let answer = bench.fake.machine_start(&handle).await;
    assert_eq!(refusal(answer), Some((FailureCode::PortTaken, false)));
    assert_eq!(bench.world.machines_of(&first.pod_id).len(), 2);
    second = bench.spec(2, 1, 4000).await;
    second.gpus = first.gpus.clone();
    second.vcpus = 100;
    bench.up(&second).await;
    let told = bench.world.violations().join("\n");
    assert_eq!(told.lines().count(), 4, "{told}");
    for part in ["of the same pod was there", "on port 3000", "on GPU GPU-0", "more than the host has"] {
        assert!(told.contains(part), "{told}");
    }
    let mut third = bench.spec(3, 1, 5000).await;
    third.gpus = vec![GpuSlot { uuid: "GPU-9".into(), index: 9 }];
    let handle = bench.fake.machine_create(&third).await.unwrap();
    assert_eq!(refusal(bench.fake.machine_start(&handle).await), Some((FailureCode::Engine, true)));
    bench.world.port_occupy(6000);
    let fourth = bench.spec(4, 1, 6000).await;
    let handle = bench.fake.machine_create(&fourth).await.unwrap();
    assert_eq!(refusal(bench.fake.machine_start(&handle).await), Some((FailureCode::PortTaken, false)));
    assert_eq!(bench.world.violations().len(), 4, "another program's port is nobody's fault");
}

#[tokio::test]
async fn what_comes_late_is_not_judged() {
    let bench = bench();
    let late = Fault::LateEffect(Duration::from_secs(1));
    let first = bench.spec(1, 1, 3000).await;
    bench.world.fault(Call::Create, late);
    assert!(is_unknown(&bench.fake.machine_create(&first).await));
    let second = bench.spec(1, 2, 3000).await;
    bench.up(&second).await;
    bench.advance(1);
    assert_eq!((bench.world.tick(), bench.world.count()), (1, 2));
    assert_eq!(bench.world.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn files_of_a_machine_are_replaced_and_those_of_nobody_are_not_made() {
    let bench = bench();
    let spec = bench.spec(1, 1, 3000).await;
    let keys = |text: &str| [File { name: "authorized_keys", bytes: text.into() }];
    bench.fake.files_put(&spec.name, &keys("early")).await.unwrap();
    assert_eq!(bench.world.file(&spec.name, "authorized_keys"), None);
    bench.up(&spec).await;
    bench.fake.files_put(&spec.name, &keys("a")).await.unwrap();
    assert_eq!(bench.world.file(&spec.name, "authorized_keys").unwrap(), b"a");
    bench.world.fault(Call::FilesPut, Fault::DiskFull);
    assert_eq!(
        refusal(bench.fake.files_put(&spec.name, &keys("b")).await),
        Some((FailureCode::DiskFull, false))
    );
    bench.world.fault(Call::FilesPut, Fault::LateEffect(Duration::from_secs(9)));
    assert!(is_unknown(&bench.fake.files_put(&spec.name, &keys("c")).await));
    assert_eq!(bench.world.file(&spec.name, "authorized_keys").unwrap(), b"c");
    bench.fake.files_put("nobody", &keys("d")).await.unwrap();
    assert_eq!(bench.world.file("nobody", "authorized_keys"), None);
    bench.advance(3_600);
    bench.fake.machine_list().await.unwrap();
    assert!(bench.world.file(&spec.name, "host_key").is_some());
}

/// What a swarm does to a fixed sequence of calls.
async fn swarmed(seed: u64) -> Vec<Seen> {
    let bench = bench();
    bench.image(IMAGE).await.unwrap();
    let spec = bench.spec(1, 1, 3000).await;
    bench.world.swarm(Swarm::drawn(seed));
    for _ in 0..60 {
        let handle = bench.fake.machine_create(&spec).await.unwrap_or_default();
        let _ = bench.fake.machine_start(&handle).await;
        let _ = bench.fake.machine_inspect(&spec.name).await;
        let _ = bench.published(3000).await;
        let _ = bench.image(IMAGE).await;
        let _ = bench.fake.machine_remove(&handle).await;
        bench.advance(1);
    }
    bench.world.calm();
    bench.fake.ping().await.unwrap();
    bench.world.seen()
}

#[tokio::test]
async fn a_swarm_is_a_function_of_its_seed() {
    let mut kinds = std::collections::HashSet::new();
    for seed in 0..40 {
        let seen = swarmed(seed).await;
        assert_eq!(seen, swarmed(seed).await);
        kinds.extend(seen.iter().filter_map(|seen| seen.fault).map(|fault| std::mem::discriminant(&fault)));
    }
    assert_eq!(kinds.len(), 14, "every kind of fault happens");
}

#[tokio::test]
async fn a_call_takes_microseconds() {
    let bench = bench();
    bench.world.facts(|facts| (facts.vcpus, facts.memory_gb) = (u32::MAX, u32::MAX));
    let mut spec = bench.spec(0, 1, 3000).await;
    spec.ports.clear();
    let began = std::time::Instant::now();
    for pod in 0..10_000 {
        spec.pod_id = PodId::from_bits(pod);
        spec.name = format!("podbay-{pod}-1");
        bench.up(&spec).await;
        bench.fake.machine_inspect(&spec.name).await.unwrap();
    }
    let each = began.elapsed() / 30_000;
    assert_eq!(bench.world.running_count(), 10_000);
    // Generous: this also runs without optimization on a busy machine.
    assert!(each < Duration::from_micros(500), "{each:?}");
}
