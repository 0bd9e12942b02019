//! What every provider does, written against the contract alone.
//!
//! A new provider is done when [`suite`] passes on it. Whatever the suite makes carries the pod
//! ids below, and it removes what it made; a caller whose suite may panic removes the rest.

use podbay_core::disk::volume_name;
use podbay_core::pod::{
    CallError, FailureCode, ImageFact, MachineFact, MachinePhase, PublishedPort, SSH_PORT,
};
use podbay_core::published::Protocol;
use podbay_core::{DiskId, PodId};
use podbay_provider::{File, ImageRequest, MachineSpec, Mount, Provider, PullProgress, VolumeSpec};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Mutex;
use std::time::Duration;

/// What differs between the worlds that the suite runs in.
pub struct Ground {
    /// An image that is on the host, and whose machines run until they are stopped.
    pub image: String,
    /// A reference of the right form that nothing is behind.
    pub image_absent: String,
    /// Ports on the host that nobody listens on.
    pub ports: fn() -> u16,
}

/// What is no image reference.
pub const NO_REFERENCES: [&str; 5] = ["", "UPPER/case", "a b", "x:", "https://example.com/x"];
const BIND: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A machine to be made from `image`, small and with one port.
pub fn spec(ground: &Ground, image: &ImageFact, number: u128, files: Vec<File>) -> MachineSpec {
    let pod_id = PodId::from_bits(0xc0de_0000_0000_0000_0000_0000_0000_0000 + number);
    MachineSpec {
        name: format!("podbay-{pod_id}-1"),
        pod_id,
        image: image.clone(),
        image_reference: ground.image.clone(),
        env: vec![("GREETING".into(), "hello = world".into())],
        vcpus: 1,
        memory_gb: 1,
        disk_gb: 1,
        gpus: Vec::new(),
        ports: vec![PublishedPort {
            internal: SSH_PORT,
            external: (ground.ports)(),
            protocol: Protocol::Tcp,
        }],
        mounts: Vec::new(),
        bind: BIND,
        files,
    }
}

/// The image of that reference.
pub async fn image(provider: &dyn Provider, reference: &str) -> Result<ImageFact, CallError> {
    let request = ImageRequest { reference: reference.to_owned(), digest: None, credentials: None };
    let seen = Mutex::new(Vec::new());
    let fact = provider.image_ensure(&request, &|progress| seen.lock().unwrap().push(progress)).await;
    let seen: Vec<PullProgress> = seen.into_inner().unwrap();
    assert!(seen.windows(2).all(|pair| pair[0].bytes <= pair[1].bytes), "progress goes back: {seen:?}");
    fact
}

/// The whole contract.
pub async fn suite(provider: &dyn Provider, ground: &Ground) {
    provider.ping().await.expect("a provider that is there answers");
    facts(provider).await;
    let image = image(provider, &ground.image).await.expect("an image that is there");
    assert!(!image.digest.is_empty());
    images(provider, ground).await;
    absence(provider, ground, &image).await;
    life(provider, ground, &image).await;
    adoption(provider, ground, &image).await;
    port_taken(provider, ground, &image).await;
    volumes(provider, ground, &image).await;
}

/// A volume to be made.
pub fn volume_spec(number: u128) -> VolumeSpec {
    let disk_id = DiskId::from_bits(0xd15c_0000_0000_0000_0000_0000_0000_0000 + number);
    VolumeSpec { name: volume_name(&disk_id), disk_id, size_gb: 1 }
}

/// A volume outlives its machines, cannot be removed under one, and is nobody else's.
async fn volumes(provider: &dyn Provider, ground: &Ground, image: &ImageFact) {
    let volume = volume_spec(1);
    let mount = |path: &str| Mount { volume: volume.name.clone(), path: path.into() };
    let machine = MachineSpec { mounts: vec![mount("/workspace")], ..spec(ground, image, 6, Vec::new()) };
    assert_eq!(provider.volume_inspect(&volume.name).await, Ok(None));
    assert_eq!(provider.volume_remove(&volume.name).await, Ok(()), "removing what is not there is a success");
    let refused = provider.machine_create(&machine).await;
    let is_lost =
        matches!(refused, Err(CallError::Refused { code: FailureCode::DiskLost, permanent: true, .. }));
    assert!(is_lost, "no empty volume is made in place of one that is gone: {refused:?}");
    assert_eq!(provider.volume_inspect(&volume.name).await, Ok(None));

    let fact = provider.volume_ensure(&volume).await.expect("ensure");
    assert_eq!(fact.name, volume.name);
    assert!(fact.held_gb.is_none_or(|held| held == volume.size_gb), "{fact:?}");
    assert_eq!(provider.volume_ensure(&volume).await.as_ref(), Ok(&fact), "a second ensure adopts");
    assert_eq!(provider.volume_inspect(&volume.name).await, Ok(Some(fact)));
    let other = VolumeSpec { disk_id: DiskId::from_bits(9), ..volume.clone() };
    let refused = provider.volume_ensure(&other).await;
    assert!(matches!(refused, Err(CallError::Refused { .. })), "another disk's name: {refused:?}");
    let listed = provider.volume_list().await.expect("list");
    let entry = listed.iter().find(|listed| listed.name == volume.name).expect("it is in the list");
    assert_eq!(entry.disk_id.as_ref(), Some(&volume.disk_id));

    let handle = provider.machine_create(&machine).await.expect("create");
    provider.machine_start(&handle).await.expect("start");
    provider.volume_remove(&volume.name).await.expect_err("a machine has it");
    provider.machine_remove(&handle).await.expect("remove the machine");
    assert!(provider.volume_inspect(&volume.name).await.expect("inspect").is_some(), "the volume stays");
    provider.volume_remove(&volume.name).await.expect("remove");
    assert_eq!(provider.volume_inspect(&volume.name).await, Ok(None));
    assert!(provider.volume_list().await.expect("list").iter().all(|listed| listed.name != volume.name));
}

async fn facts(provider: &dyn Provider) {
    let facts = provider.facts().await.expect("facts");
    assert!(facts.vcpus > 0 && facts.memory_gb > 0 && facts.disk_gb > 0, "{facts:?}");
    assert!(["amd64", "arm64"].contains(&facts.architecture.as_str()), "{facts:?}");
    assert!(!facts.engine.is_empty());
}

async fn images(provider: &dyn Provider, ground: &Ground) {
    let refusal = |error: Result<ImageFact, CallError>| match error {
        Err(CallError::Refused { code, permanent, text }) => {
            assert!(!text.is_empty());
            (code, permanent)
        }
        other => panic!("{other:?}"),
    };
    let absent = image(provider, &ground.image_absent).await;
    assert_eq!(refusal(absent), (FailureCode::ImageNotFound, true));
    for reference in NO_REFERENCES {
        let wrong = image(provider, reference).await;
        assert_eq!(refusal(wrong), (FailureCode::ImageReference, true), "{reference:?}");
    }
}

/// What is not there: none of these is an error, and none makes anything.
async fn absence(provider: &dyn Provider, ground: &Ground, image: &ImageFact) {
    let name = spec(ground, image, 1, Vec::new()).name;
    assert_eq!(provider.machine_inspect(&name).await, Ok(None));
    assert_eq!(provider.machine_remove(&name).await, Ok(()));
    let started = provider.machine_start(&name).await;
    assert!(matches!(started, Err(CallError::Refused { code: FailureCode::MachineLost, .. })), "{started:?}");
    assert!(provider.machine_logs(&name, 10).await.is_err());
    assert!(provider.dial(&name, SSH_PORT).await.is_err());
    assert!(listed(provider, &name).await.is_none());
}

async fn life(provider: &dyn Provider, ground: &Ground, image: &ImageFact) {
    let spec = spec(ground, image, 2, vec![File { name: "config.json", bytes: b"{}".to_vec() }]);
    let handle = provider.machine_create(&spec).await.expect("create");
    assert_eq!(phase(provider, &spec.name).await, Some(MachinePhase::Created));
    let entry = listed(provider, &spec.name).await.expect("it is in the list");
    assert_eq!((entry.handle.as_str(), &entry.phase), (handle.as_str(), &MachinePhase::Created));

    provider.machine_start(&handle).await.expect("start");
    provider.machine_start(&handle).await.expect("starting what runs is a success");
    let running = provider.machine_inspect(&spec.name).await.expect("inspect").expect("it is there");
    assert!(matches!(running.phase, MachinePhase::Running { .. }), "{running:?}");
    assert_eq!(running.handle, handle);
    assert!(matches!(listed(provider, &spec.name).await.unwrap().phase, MachinePhase::Running { .. }));
    provider.machine_stats(&handle).await.expect("load");
    provider.machine_logs(&handle, 10).await.expect("logs");
    provider
        .files_put(&spec.name, &[File { name: "authorized_keys", bytes: b"a\n".to_vec() }])
        .await
        .expect("files");

    provider.machine_stop(&handle, Duration::ZERO).await.expect("stop");
    provider.machine_stop(&handle, Duration::ZERO).await.expect("stopping what is stopped is a success");
    let stopped = phase(provider, &spec.name).await;
    assert!(matches!(stopped, Some(MachinePhase::Exited { oom: false, .. })), "{stopped:?}");
    assert!(matches!(listed(provider, &spec.name).await.unwrap().phase, MachinePhase::Exited { .. }));

    provider.machine_start(&handle).await.expect("a machine that ended can be started again");
    assert!(matches!(phase(provider, &spec.name).await, Some(MachinePhase::Running { .. })));

    provider.machine_remove(&handle).await.expect("remove while it runs");
    assert_eq!(phase(provider, &spec.name).await, None);
    assert!(listed(provider, &spec.name).await.is_none());
    provider.machine_remove(&handle).await.expect("removing what is gone is a success");
}

/// A create whose answer was lost is found again, and nobody else's machine is taken for it.
async fn adoption(provider: &dyn Provider, ground: &Ground, image: &ImageFact) {
    let mine = spec(ground, image, 3, Vec::new());
    let handle = provider.machine_create(&mine).await.expect("create");
    assert_eq!(provider.machine_create(&mine).await.as_ref(), Ok(&handle), "a second create adopts");
    provider.machine_start(&handle).await.expect("start");
    assert_eq!(provider.machine_create(&mine).await.as_ref(), Ok(&handle), "also while it runs");
    assert!(
        matches!(phase(provider, &mine.name).await, Some(MachinePhase::Running { .. })),
        "and changes nothing"
    );

    let other = MachineSpec { pod_id: PodId::from_bits(9), ..mine.clone() };
    let refused = provider.machine_create(&other).await;
    assert!(matches!(refused, Err(CallError::Refused { .. })), "another pod's name: {refused:?}");
    assert!(matches!(phase(provider, &mine.name).await, Some(MachinePhase::Running { .. })));
    provider.machine_remove(&handle).await.expect("remove");
}

async fn port_taken(provider: &dyn Provider, ground: &Ground, image: &ImageFact) {
    let first = spec(ground, image, 4, Vec::new());
    let second = MachineSpec { ports: first.ports.clone(), ..spec(ground, image, 5, Vec::new()) };
    let handle = provider.machine_create(&first).await.expect("create");
    provider.machine_start(&handle).await.expect("start");
    // Engines look at ports when they make or when they start a machine.
    let answer = match provider.machine_create(&second).await {
        Ok(handle) => provider.machine_start(&handle).await,
        Err(error) => Err(error),
    };
    let taken =
        matches!(answer, Err(CallError::Refused { code: FailureCode::PortTaken, permanent: false, .. }));
    for spec in [&first, &second] {
        let left = provider.machine_inspect(&spec.name).await.expect("inspect");
        if let Some(left) = left {
            provider.machine_remove(&left.handle).await.expect("remove");
        }
    }
    assert!(taken, "{answer:?}");
}

async fn phase(provider: &dyn Provider, name: &str) -> Option<MachinePhase> {
    provider.machine_inspect(name).await.expect("inspect").map(|fact| fact.phase)
}

async fn listed(provider: &dyn Provider, name: &str) -> Option<MachineFact> {
    let machines = provider.machine_list().await.expect("list");
    let found = machines.into_iter().find(|machine| machine.name == name)?;
    assert!(found.name.contains(found.pod_id.expect("its pod").as_str()));
    Some(found.fact)
}
