//! The suite on the scripted world: what tests elsewhere rely on is what engines do.

use crate::conformance::{self, Ground};
use podbay_core::place::HostFacts;
use podbay_core::{InstallId, Timestamp};
use podbay_provider::fake::{Fake, Image, World};
use std::sync::atomic::{AtomicU16, Ordering};

#[tokio::test]
async fn the_scripted_world_keeps_the_contract() {
    static PORT: AtomicU16 = AtomicU16::new(20_000);
    let facts = HostFacts {
        vcpus: 4,
        memory_gb: 16,
        disk_gb: 100,
        architecture: "amd64".into(),
        engine: "fake 1".into(),
        ..HostFacts::default()
    };
    let world = World::new(facts, || Timestamp::from_millis(1_787_220_000_000));
    let ground = Ground {
        image: "localhost/podbay/busybox:latest".into(),
        image_absent: "localhost/podbay/there-is-none:latest".into(),
        ports: || PORT.fetch_add(1, Ordering::Relaxed),
    };
    world.image(&ground.image, Image::default());
    // A world knows only what it was told.
    for reference in conformance::NO_REFERENCES {
        world.image(reference, Image::bad());
    }
    conformance::suite(&Fake::new(world.clone(), InstallId::from_bits(1)), &ground).await;
    // The suite starts two machines on one port and removes a volume under a machine on purpose, so
    // that the world saw two violations.
    assert_eq!((world.count(), world.volumes().len(), world.violations().len()), (0, 0, 2));
}
