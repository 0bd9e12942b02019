//! Copying files: `scp`, `sftp`, `rsync`.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;

use crate::support::{Agent, assert_same_files, noise, success, text, with_input};

#[test]
fn scp_copies_large_files_both_ways() {
    let agent = Agent::start();
    let (source, up, down) = (agent.path("source"), agent.path("up"), agent.path("down"));
    noise(&source, 64);
    success(agent.client("scp").arg(&source).arg(format!("pod:{}", up.display())));
    assert_same_files(&source, &up);
    success(agent.client("scp").arg(format!("pod:{}", up.display())).arg(&down));
    assert_same_files(&source, &down);
}

#[test]
fn scp_copies_trees_with_modes_and_times() {
    let agent = Agent::start();
    let tree = agent.path("tree");
    std::fs::create_dir_all(tree.join("a/b")).unwrap();
    std::fs::write(tree.join("a/b/file"), "text").unwrap();
    std::fs::write(tree.join("empty"), "").unwrap();
    std::fs::set_permissions(tree.join("a/b/file"), PermissionsExt::from_mode(0o741)).unwrap();
    success(Command::new("touch").args(["-d", "@1000000000"]).arg(tree.join("a/b/file")));
    let copy = agent.path("copy");
    success(agent.client("scp").arg("-rp").arg(&tree).arg(format!("pod:{}", copy.display())));
    let found = std::fs::metadata(copy.join("a/b/file")).unwrap();
    assert_eq!((found.mode() & 0o7777, found.mtime(), found.size()), (0o741, 1_000_000_000, 4));
    assert!(copy.join("empty").exists());
    let back = agent.path("back");
    success(agent.client("scp").arg("-rp").arg(format!("pod:{}", copy.display())).arg(&back));
    assert_eq!(std::fs::read_to_string(back.join("a/b/file")).unwrap(), "text");
}

#[test]
fn scp_of_the_old_protocol_uses_the_images_own() {
    let agent = Agent::start();
    std::fs::write(agent.path("file"), "old").unwrap();
    success(
        agent
            .client("scp")
            .arg("-O")
            .arg(agent.path("file"))
            .arg(format!("pod:{}", agent.path("got").display())),
    );
    assert_eq!(std::fs::read_to_string(agent.path("got")).unwrap(), "old");
}

#[test]
fn scp_reports_what_failed() {
    let agent = Agent::start();
    let output = agent.client("scp").arg("pod:/no/such/file").arg(agent.path("x")).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("No such file"), "{output:?}");
}

fn sftp(agent: &Agent, batch: &str) -> String {
    let mut command = agent.client("sftp");
    let output = with_input(command.args(["-b", "-", "pod"]), batch.as_bytes());
    assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn sftp_commands() {
    let agent = Agent::start();
    std::fs::write(agent.path("local"), "hello").unwrap();
    let remote = agent.path("remote");
    let (local, at) = (agent.path("local"), remote.display());
    let said = sftp(
        &agent,
        &format!(
            "mkdir {at}\ncd {at}\nput {0} one\nput {0} two\nrename one three\nln three hard\nln -s three soft\n\
             chmod 640 three\nchown 1 three\nls -la\nls -1\npwd\ndf\nget three {0}.back\nrm two\n",
            local.display()
        ),
    );
    assert!(said.contains(&format!("Remote working directory: {at}")), "{said}");
    assert!(said.contains("-rw-r-----    2 daemon   root            5 "), "{said}");
    assert!(said.contains("%Capacity"), "{said}");
    let found = std::fs::metadata(remote.join("three")).unwrap();
    assert_eq!((found.mode() & 0o777, found.uid(), found.nlink()), (0o640, 1, 2));
    assert_eq!(std::fs::read_link(remote.join("soft")).unwrap().to_str(), Some("three"));
    assert_eq!(std::fs::read_to_string(agent.path("local.back")).unwrap(), "hello");
    assert!(!remote.join("two").exists());
    sftp(&agent, &format!("rm {at}/three\nrm {at}/hard\nrm {at}/soft\nrmdir {at}\n"));
    assert!(!remote.exists());
}

#[test]
fn sftp_lists_large_directories_and_odd_names() {
    let agent = Agent::start();
    let directory = agent.path("many");
    std::fs::create_dir(&directory).unwrap();
    for number in 0..1000 {
        std::fs::write(directory.join(format!("file with blank {number}")), "").unwrap();
    }
    let said = sftp(&agent, &format!("ls -1 {}\n", directory.display()));
    assert_eq!(said.lines().filter(|line| line.contains("file with blank")).count(), 1000);
}

#[test]
fn sftp_renames_over_an_existing_file() {
    let agent = Agent::start();
    std::fs::write(agent.path("a"), "new").unwrap();
    std::fs::write(agent.path("b"), "old").unwrap();
    let (a, b) = (agent.path("a"), agent.path("b"));
    sftp(&agent, &format!("rename {} {}\n", a.display(), b.display()));
    assert_eq!(std::fs::read_to_string(&b).unwrap(), "new");
    // Without OpenSSH's extension the protocol says no.
    std::fs::write(&a, "newer").unwrap();
    let mut command = agent.client("sftp");
    let batch = format!("rename -l {} {}\n", a.display(), b.display());
    let output = with_input(command.args(["-b", "-", "pod"]), batch.as_bytes());
    assert!(!output.status.success());
    assert_eq!(std::fs::read_to_string(&b).unwrap(), "new");
}

#[test]
fn sftp_resumes_and_appends() {
    let agent = Agent::start();
    noise(&agent.path("whole"), 3);
    let whole = std::fs::read(agent.path("whole")).unwrap();
    std::fs::write(agent.path("part"), &whole[..1_000_001]).unwrap();
    sftp(&agent, &format!("reput {} {}\n", agent.path("whole").display(), agent.path("part").display()));
    assert!(std::fs::read(agent.path("part")).unwrap() == whole);
}

#[test]
fn rsync_both_ways() {
    let agent = Agent::start();
    let tree = agent.path("tree");
    std::fs::create_dir_all(tree.join("deep/er")).unwrap();
    noise(&tree.join("deep/er/file"), 5);
    std::os::unix::fs::symlink("deep", tree.join("link")).unwrap();
    let shell = format!("ssh -F {}", agent.path("client").display());
    let rsync = |from: String, to: String| {
        success(Command::new("timeout").args(["20", "rsync", "-a", "-e", &shell]).args([from, to]));
    };
    rsync(format!("{}/", tree.display()), format!("pod:{}/", agent.path("up").display()));
    rsync(format!("pod:{}/", agent.path("up").display()), format!("{}/", agent.path("down").display()));
    assert_same_files(&tree.join("deep/er/file"), &agent.path("down/deep/er/file"));
    assert!(agent.path("down/link").is_symlink());
}
