//! What a machine looks like from inside; for providers whose machines really run.
//!
//! In place of the agent there is a shell script that runs `/.podbay/pod/run`, so that each test
//! says what its machine does. The handle of a machine is its name here, as engines have it.

use crate::conformance::{Ground, image, spec, volume_spec};
use crate::poll::until;
use podbay_core::pod::{GpuSlot, MachinePhase, SSH_PORT};
use podbay_provider::{File, LogLine, MachineSpec, Mount, Provider, Stream};
use std::time::Duration;
use tokio::io::AsyncReadExt;

/// Stands in for the agent. Without a script it runs until it is told to end.
pub const AGENT: &str = r#"#!/bin/sh
[ "$1" = init ] || exit 99
[ -e /.podbay/pod/run ] && exec /bin/sh /.podbay/pod/run
trap 'exit 0' TERM
while :; do sleep 1 & wait $!; done
"#;

const LOOK_AROUND: &str = r#"
echo "greeting=$GREETING visible=$NVIDIA_VISIBLE_DEVICES host=$(hostname)"
echo "memory=$(cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null)"
echo "cpu=$(cat /sys/fs/cgroup/cpu.max /sys/fs/cgroup/cpu/cpu.cfs_quota_us 2>/dev/null)"
echo "pids=$(cat /sys/fs/cgroup/pids.max /sys/fs/cgroup/pids/pids.max 2>/dev/null)"
echo $(grep -E '^(CapBnd|NoNewPrivs|Seccomp):' /proc/self/status)
echo "files=$(ulimit -Sn)/$(ulimit -Hn)"
for place in /.podbay/pod /.podbay/bin; do touch $place/x 2>/dev/null && echo "writable $place"; done
echo "to stderr" >&2
echo "looked"
while [ ! -e /.podbay/pod/end ]; do
  [ "$(cat /.podbay/pod/authorized_keys)" = new ] && [ -z "$told" ] && echo "keys are new" && told=1
  sleep 0.05
done
exit 7
"#;

const GREET: &str =
    "grep CapEff /proc/self/status; id; while :; do echo 'hello from inside' | nc -l -p 22; done";

fn file(name: &'static str, text: &str) -> File {
    File { name, bytes: text.as_bytes().to_vec() }
}

pub async fn suite(provider: &dyn Provider, ground: &Ground, nonroot: &str) {
    look_around(provider, ground).await;
    dial(provider, ground, nonroot).await;
    disk(provider, ground, nonroot).await;
    out_of_memory(provider, ground).await;
    gpu(provider, ground).await;
    ending(provider, ground).await;
}

/// Machines that end by themselves while they are stopped and removed.
async fn ending(provider: &dyn Provider, ground: &Ground) {
    let image = image(provider, &ground.image).await.expect("image");
    for round in 0..10_u64 {
        let script = format!("sleep 0.{:02}", round * 3);
        let spec = spec(ground, &image, 0x15, vec![file("run", &script)]);
        start(provider, &spec).await;
        if round % 2 == 0 {
            provider.machine_stop(&spec.name, Duration::ZERO).await.expect("stop");
        }
        provider.machine_remove(&spec.name).await.expect("remove");
        assert_eq!(provider.machine_inspect(&spec.name).await, Ok(None));
    }
}

/// A GPU that only a device specification knows: `/dev/null` under another name.
async fn gpu(provider: &dyn Provider, ground: &Ground) {
    struct Specification(&'static str);
    impl Drop for Specification {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(self.0);
        }
    }
    let path = "/var/run/cdi/podbay-test.json";
    let text = r#"{"cdiVersion":"0.5.0","kind":"nvidia.com/gpu","devices":[{"name":"GPU-podbay-test","containerEdits":
        {"deviceNodes":[{"path":"/dev/nvidia77","hostPath":"/dev/null","permissions":"rw"}],"env":["FROM_CDI=yes"],
        "mounts":[{"hostPath":"/etc/hostname","containerPath":"/opt/driver/file","options":["ro","bind"]}]}}]}"#;
    if std::fs::create_dir_all("/var/run/cdi").and_then(|()| std::fs::write(path, text)).is_err() {
        println!("left out: {path} cannot be written");
        return;
    }
    let _specification = Specification(path);
    let image = image(provider, &ground.image).await.expect("image");
    let script = "echo x > /dev/nvidia77 && echo written; ls /opt/driver; \
                  echo cdi=$FROM_CDI visible=$NVIDIA_VISIBLE_DEVICES";
    let spec = MachineSpec {
        gpus: vec![GpuSlot { uuid: "GPU-podbay-test".into(), index: 77 }],
        ..spec(ground, &image, 0x14, vec![file("run", script)])
    };
    start(provider, &spec).await;
    let text = logs_until(provider, &spec.name, "cdi=").await;
    assert!(
        text.contains("written") && text.contains("out file") && text.contains("cdi=yes visible=void"),
        "{text}"
    );
    provider.machine_remove(&spec.name).await.expect("remove");
}

async fn look_around(provider: &dyn Provider, ground: &Ground) {
    let image = image(provider, &ground.image).await.expect("image");
    let files = vec![file("run", LOOK_AROUND), file("authorized_keys", "old")];
    let spec = spec(ground, &image, 0x11, files);
    start(provider, &spec).await;
    let text = logs_until(provider, &spec.name, "looked").await;
    for expected in [
        "out greeting=hello = world visible=void host=pod-00000011",
        "out memory=1073741824",
        "out cpu=100000",
        "out pids=4096",
        // CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE SYS_CHROOT SETFCAP
        "out CapBnd: 00000000800405fb NoNewPrivs: 1 Seccomp: 2",
        "err to stderr",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in\n{text}");
    }
    assert!(!text.contains("writable"), "{text}");
    let files = text.lines().find_map(|line| line.strip_prefix("out files=")).expect("files");
    let (soft, hard) = files.split_once('/').expect("two limits");
    assert!(soft == hard && soft.parse::<u64>().is_ok_and(|files| files >= 1_024), "{files}");

    provider.files_put(&spec.name, &[file("authorized_keys", "new")]).await.expect("files_put");
    logs_until(provider, &spec.name, "keys are new").await;
    let stats = provider.machine_stats(&spec.name).await.expect("stats");
    assert!(stats.memory_bytes > 0 && stats.pids > 0 && stats.cpu_nanos > 0, "{stats:?}");
    provider.files_put(&spec.name, &[file("end", "")]).await.expect("files_put");
    match exit(provider, &spec.name).await {
        MachinePhase::Exited { code: 7, oom: false, .. } => {}
        other => panic!("{other:?}"),
    }
    let last = provider.machine_logs(&spec.name, 1).await.expect("logs of what has ended");
    assert_eq!(last.lines.len(), 1);
    let newest = &last.lines[0];
    assert_eq!((newest.text.as_str(), newest.stderr), ("keys are new", false), "{last:?}");
    assert!(newest.at.is_some());
    provider.machine_remove(&spec.name).await.expect("remove");
}

/// Also: a user other than root listens on a low port.
async fn dial(provider: &dyn Provider, ground: &Ground, nonroot: &str) {
    let image = image(provider, nonroot).await.expect("image");
    assert_eq!(image.user, "1000");
    let spec = spec(ground, &image, 0x12, vec![file("run", GREET)]);
    start(provider, &spec).await;
    let port = spec.ports[0].external;
    for _ in 0..2 {
        let text = read(async || provider.dial_published(spec.bind, port).await.ok()).await;
        assert_eq!(text, "hello from inside\n");
        let text = read(async || provider.dial(&spec.name, SSH_PORT).await.ok()).await;
        assert_eq!(text, "hello from inside\n");
    }
    assert!(provider.dial(&spec.name, 1).await.is_err(), "nobody listens there");
    let text = logs_until(provider, &spec.name, "uid=1000").await;
    assert!(text.contains("CapEff:\t0000000000000000"), "a root by another name: {text}");
    provider.machine_remove(&spec.name).await.expect("remove");
    assert!(provider.dial_published(spec.bind, port).await.is_err(), "the port is closed");
}

/// What one machine writes on a volume the next one reads; also users other than root may write.
async fn disk(provider: &dyn Provider, ground: &Ground, nonroot: &str) {
    let volume = volume_spec(0x16);
    provider.volume_ensure(&volume).await.expect("ensure");
    let script = "cat /workspace/* 2>/dev/null; echo from $(id -u) > /workspace/$(id -u) && echo written";
    let ran = async |image_name: &str| {
        let image = image(provider, image_name).await.expect("image");
        let mounts = vec![Mount { volume: volume.name.clone(), path: "/workspace".into() }];
        let spec = MachineSpec { mounts, ..spec(ground, &image, 0x16, vec![file("run", script)]) };
        start(provider, &spec).await;
        let text = logs_until(provider, &spec.name, "written").await;
        provider.machine_remove(&spec.name).await.expect("remove");
        text
    };
    ran(nonroot).await;
    let text = ran(&ground.image).await;
    assert!(text.contains("out from 1000"), "{text}");
    let text = ran(nonroot).await;
    assert!(text.contains("out from 0"), "{text}");
    provider.volume_remove(&volume.name).await.expect("remove");
}

async fn out_of_memory(provider: &dyn Provider, ground: &Ground) {
    let image = image(provider, &ground.image).await.expect("image");
    let spec =
        spec(ground, &image, 0x13, vec![file("run", "exec dd if=/dev/zero of=/dev/null bs=1500M count=2")]);
    start(provider, &spec).await;
    match exit(provider, &spec.name).await {
        // Whether the kernel did it is not asked for: Podman's monitor does not see that where
        // control groups of both generations are mounted.
        MachinePhase::Exited { code: 137, .. } => {}
        other => panic!("{other:?}"),
    }
    provider.machine_remove(&spec.name).await.expect("remove");
}

async fn start(provider: &dyn Provider, spec: &MachineSpec) {
    let handle = provider.machine_create(spec).await.expect("create");
    provider.machine_start(&handle).await.expect("start");
}

/// All lines, once one of them contains `text`.
async fn logs_until(provider: &dyn Provider, name: &str, text: &str) -> String {
    let line = |line: &LogLine| format!("{} {}\n", if line.stderr { "err" } else { "out" }, line.text);
    until(text, async || {
        let logs = provider.machine_logs(name, 1_000).await.expect("logs");
        let shown: String = logs.lines.iter().map(line).collect();
        shown.contains(text).then_some(shown)
    })
    .await
}

async fn exit(provider: &dyn Provider, name: &str) -> MachinePhase {
    until("the end of a machine", async || {
        let fact = provider.machine_inspect(name).await.expect("inspect").expect("it is there");
        matches!(fact.phase, MachinePhase::Exited { .. }).then_some(fact.phase)
    })
    .await
}

/// What comes over the first connection that brings anything.
async fn read(dial: impl AsyncFn() -> Option<Box<dyn Stream>>) -> String {
    until("a greeting", async || {
        let mut text = String::new();
        let read =
            tokio::time::timeout(Duration::from_secs(2), dial().await?.read_to_string(&mut text)).await;
        matches!(read, Ok(Ok(count)) if count > 0).then_some(text)
    })
    .await
}
