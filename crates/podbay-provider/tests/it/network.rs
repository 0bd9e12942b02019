//! What Podman leaves of a network when it is killed while it makes one is cleared away with the machine, and
//! nobody else's is. `cargo xtask chaos` kills it; here the same is left by hand, under the id of a real container.

use crate::conformance;
use crate::engine::{Site, ground};
use podbay_core::pod::MachinePhase;
use podbay_provider::Provider;
use std::process::{Command, Output};
use std::time::Duration;

const PUBLISHED: &str = "NETAVARK-HOSTPORT-DNAT";

fn run(words: &[&str]) -> Output {
    Command::new(words[0]).args(&words[1..]).output().unwrap()
}

fn done(words: &[&str]) -> String {
    let output = run(words);
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Rules that name a container.
fn published(id: &str) -> usize {
    done(&["iptables", "-w", "-t", "nat", "-S"]).lines().filter(|rule| rule.contains(id)).count()
}

/// A namespace with an address, and rules that lead a port to it, as Podman's helper makes them.
struct Network {
    namespace: String,
    /// Of its network.
    chain: String,
    rules: Vec<Vec<String>>,
}

impl Network {
    fn leave(id: &str, number: u32) -> Self {
        let namespace = format!("netns-{:08x}-0000-4000-8000-0000000000{number:02}", std::process::id());
        let chain = format!("NETAVARK-DN-T{}-{number}", std::process::id());
        let (address, port) = (format!("10.88.255.{number}"), (29_900 + number).to_string());
        done(&["ip", "netns", "add", &namespace]);
        done(&["ip", "-netns", &namespace, "addr", "add", &format!("{address}/32"), "dev", "lo"]);
        // Podman makes it with the first port that it publishes, and lets it stay.
        run(&["iptables", "-w", "-t", "nat", "-N", PUBLISHED]);
        done(&["iptables", "-w", "-t", "nat", "-N", &chain]);
        let of_port = |chain: &str| {
            ["-t", "nat", "-A", chain, "-p", "tcp", "-m", "tcp", "--dport", &port].map(str::to_owned).to_vec()
        };
        let words = |text: &[&str]| text.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let to = format!("{address}:22");
        let comment = format!("dnat name: podman id: {id}");
        let rules = [
            [of_port(&chain), words(&["-j", "DNAT", "--to-destination", &to])].concat(),
            [of_port(PUBLISHED), words(&["-m", "comment", "--comment", &comment, "-j", &chain])].concat(),
        ];
        let network = Self { namespace, chain, rules: rules.to_vec() };
        for rule in &network.rules {
            assert!(network.iptables(rule, "-A").status.success(), "{rule:?}");
        }
        network
    }

    fn iptables(&self, rule: &[String], what: &str) -> Output {
        let words = rule.iter().map(|word| if word == "-A" { what } else { word });
        Command::new("iptables").arg("-w").args(words).output().unwrap()
    }

    /// What of it is still there.
    fn traces(&self) -> Vec<&'static str> {
        let mut found = Vec::new();
        found.extend(done(&["ip", "netns", "list"]).contains(&self.namespace).then_some("namespace"));
        found.extend(
            self.rules.iter().filter(|rule| self.iptables(rule, "-C").status.success()).map(|_| "rule"),
        );
        found
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for rule in &self.rules {
            self.iptables(rule, "-D");
        }
        run(&["iptables", "-w", "-t", "nat", "-X", &self.chain]);
        run(&["ip", "netns", "delete", &self.namespace]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_podman_has_left_of_a_network_goes_with_the_machine_and_nobody_elses_does() {
    let Some(site) = Site::open("network").await else { return };
    site.run(|engine| async move {
        let is_root = rustix::process::geteuid().is_root();
        if !is_root || !engine.facts().await.unwrap().engine.starts_with("podman") {
            println!("left out: the engine is not Podman, or not root's");
            return;
        }
        let ground = ground();
        let image = conformance::image(&*engine, &ground.image).await.unwrap();
        let ours = conformance::spec(&ground, &image, 0x61, Vec::new());
        engine.machine_create(&ours).await.unwrap();
        let id = done(&["podman", "container", "inspect", "--format", "{{.Id}}", &ours.name]);
        let (left, others) = (Network::leave(id.trim(), 1), Network::leave(&"e".repeat(64), 2));
        let everything = ["namespace", "rule", "rule"];
        assert_eq!((left.traces(), others.traces()), (everything.to_vec(), everything.to_vec()));

        engine.machine_start(&ours.name).await.unwrap();
        assert_eq!(left.traces(), everything, "nobody looks before the first start");
        engine.machine_stop(&ours.name, Duration::ZERO).await.unwrap();
        engine.machine_start(&ours.name).await.unwrap();
        assert_eq!(left.traces(), ["namespace"], "nobody is in it, but not for a minute yet");
        assert_eq!(others.traces(), everything);
        let phase = engine.machine_inspect(&ours.name).await.unwrap().expect("it is there").phase;
        assert!(matches!(phase, MachinePhase::Running { .. }), "{phase:?}");

        // A second network under the name of one that runs: as if two starts had been cut off.
        let again = Network::leave(id.trim(), 3);
        engine.machine_remove(&ours.name).await.unwrap();
        assert_eq!(again.traces(), ["namespace"]);
        assert_eq!(others.traces(), everything);
        assert_eq!(published(id.trim()), 0, "Podman's own are gone, too");
        assert_eq!(engine.machine_inspect(&ours.name).await.unwrap(), None);
    })
    .await;
}
