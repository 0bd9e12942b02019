//! The first start, which makes everything, and those after it.

use crate::harness::{Real, engine_wanted};
use std::os::unix::fs::PermissionsExt;

#[tokio::test]
async fn the_first_start_shows_the_key_once_and_keeps_it_for_its_owner_only() {
    if !engine_wanted() {
        return;
    }
    let mut real = Real::start();
    let file = real.data().join("admin.key");
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(real.data()), mode(file.clone())), (0o700, 0o600));
    let kept = std::fs::read_to_string(&file).unwrap();
    let key = kept.strip_suffix('\n').unwrap();
    assert!(key.starts_with("pbk_"), "{}", key.len());
    let first = real.client().whoami().await.unwrap();
    let said = real.stop();
    assert_eq!(said.matches(key).count(), 1, "{said}");

    real.up();
    assert_eq!(real.client().whoami().await.unwrap().id, first.id, "the key is still good");
    let said = real.stop();
    assert!(!said.contains("pbk_") && !said.contains("first start"), "{said}");
    assert_eq!((std::fs::read_to_string(&file).unwrap(), mode(file)), (kept, 0o600));
}
