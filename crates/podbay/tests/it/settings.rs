//! Which server is asked, and with which key.

use crate::run::{Home, expect};
use crate::stub::{Stub, ok};
use serde_json::json;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

const KEYS: &str = "GET /api/v1/api_keys";

fn nothing() -> serde_json::Value {
    json!({"data": [], "status": null})
}

const NO_KEY: &str = "hint: set PODBAY_API_KEY, or name a file with --key-file or in the profile; \
                      `podbay serve` writes the first key to DATA_DIR/admin.key\n";

#[test]
fn the_profile_names_server_and_key() {
    let stub = Stub::start(vec![ok(KEYS, nothing()), ok(KEYS, nothing()), ok(KEYS, nothing())]);
    let home = Home::new().variable("PODBAY_API_KEY", "");
    home.file("keys/one", "pbk_one\n");
    home.file("keys/two", "pbk_two\n");
    let url = stub.url();
    home.file(
        ".config/podbay/config.toml",
        &format!(
            "[profiles.default]\nurl = \"{url}/\"\nkey_file = \"~/keys/one\"\n\n\
             [profiles.other]\nurl = \"{url}\"\nkey_file = \"~/keys/two\"\n"
        ),
    );
    assert_eq!(home.podbay(&["api-keys", "list"]).code, 0);
    assert_eq!(home.podbay(&["--profile", "other", "api-keys", "list"]).code, 0);
    let home = home.variable("PODBAY_API_KEY", "pbk_env");
    assert_eq!(home.podbay(&["api-keys", "list"]).code, 0);
    let keys: Vec<_> = stub.requests().into_iter().filter_map(|request| request.key).collect();
    assert_eq!(keys, ["Bearer pbk_one", "Bearer pbk_two", "Bearer pbk_env"]);
}

#[test]
fn the_key_of_a_profile_does_not_go_to_another_server() {
    let stub = Stub::start(vec![]);
    let home = Home::at(&stub).variable("PODBAY_API_KEY", "");
    home.file("key", "pbk_one\n");
    home.file(
        ".config/podbay/config.toml",
        "[profiles.default]\nurl = \"https://pods.example.org\"\nkey_file = \"~/key\"\n",
    );
    let text = format!("error: no key: that of profile default is for another address\n{NO_KEY}");
    expect(&home.podbay(&["api-keys", "list"]), 4, "", &text);
    stub.requests();
}

#[test]
fn a_key_file_that_others_can_read_is_used_with_a_warning() {
    let stub = Stub::start(vec![ok(KEYS, nothing())]);
    let home = Home::at(&stub);
    let path = home.file("key", " pbk_file \n");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let done = home.podbay(&["api-keys", "list", "--key-file", &path.display().to_string()]);
    let text = "warning: others can read the key file; run `chmod 600 HOME/key`\nthere are no API keys\n";
    expect(&done, 0, "", text);
    assert_eq!(stub.requests()[0].key.as_deref(), Some("Bearer pbk_file"));
}

#[test]
fn what_is_wrong_with_the_settings_is_told() {
    let home = Home::new().variable("PODBAY_API_KEY", "");
    expect(&home.podbay(&["whoami"]), 4, "", &format!("error: no key\n{NO_KEY}"));
    let text = "error: there is no profile x: HOME/.config/podbay/config.toml does not exist\n";
    expect(&home.podbay(&["whoami", "--profile", "x"]), 2, "", text);
    home.file("empty", "\n");
    let path = home.path("empty").display().to_string();
    let done = home.podbay(&["whoami", "--key-file", &path]);
    expect(&done, 2, "", "error: cannot read the key file HOME/empty: it is empty\n");
    home.file(".config/podbay/config.toml", "[profiles.default]\nkey = \"pbk_secret\"\n");
    let done = home.podbay(&["whoami"]);
    assert!(done.err.starts_with("error: HOME/.config/podbay/config.toml is wrong\n"), "{}", done.err);
    assert_eq!(done.code, 2);
}

#[test]
fn a_server_that_is_not_there() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let home = Home::new().variable("PODBAY_URL", &format!("http://{address}"));
    let text = "error: cannot reach URL: Connection refused (os error 111)\n\
                hint: check the address (--url, PODBAY_URL or the profile), and that `podbay serve` runs there\n";
    expect(&home.podbay(&["pods", "list"]), 3, "", text);
    let done = home.podbay(&["pods", "list", "--url", "ftp://x"]);
    assert_eq!(done.code, 2, "{done:?}");
}

#[test]
fn a_key_is_no_argument() {
    let done = Home::new().podbay(&["--key", "pbk_x", "whoami"]);
    assert_eq!(done.code, 2);
    assert!(done.err.contains("unexpected argument '--key'"), "{}", done.err);
}

#[test]
fn help_tells_the_exit_codes() {
    let done = Home::new().podbay(&["-h"]);
    assert!(done.code == 0 && done.out.contains("  7  waiting ended"), "{}", done.out);
    let done = Home::new().podbay(&["--help"]);
    assert!(done.out.contains("[profiles.default]") && done.out.contains("Exit codes:"), "{}", done.out);
}

#[test]
fn config_check_names_each_mistake_with_its_line() {
    let home = Home::new().variable("PODBAY_ENGINE_VCPUS", "many").variable("PODBAY_OWNER", "42");
    let file = home.file(
        "podbay.toml",
        "listen = \"here\"\n\
         [ports]\n\
         first = 9000\n\
         last = 8000\n\
         [images]\n\
         ubuntu_22_cuda_12 = \"Debian\"\n\
         [[registries]]\n\
         server = \"registry.example.org\"\n\
         username = \"ada\"\n\
         [[registries]]\n\
         server = \"other.example.org\"\n\
         username = \"ada\"\n\
         password_file = \"/nowhere/password\"\n\
         pasword = \"x\"\n",
    );
    let check = ["config", "check", "--config", file.to_str().unwrap()];
    let text = "\
error: the configuration has 5 mistakes
  HOME/podbay.toml:1: listen: invalid socket address syntax
  HOME/podbay.toml:3: ports.first: `first` must not be above `last`
  HOME/podbay.toml:6: images.ubuntu_22_cuda_12: \"Debian\" is no image reference: a name has lower-case letters, \
digits, and single separators between them
  HOME/podbay.toml:14: registries: unknown field `pasword`, expected one of `server`, `username`, `password`, \
`password_file`
  PODBAY_ENGINE_VCPUS: invalid type: string \"many\", expected u32
";
    expect(&home.podbay(&check), 1, "", text);

    let home = home.without("PODBAY_ENGINE_VCPUS");
    home.file(
        "podbay.toml",
        "[[registries]]\nserver = \"registry.example.org\"\nusername = \"ada\"\n\
         [[registries]]\nserver = \"other.example.org\"\nusername = \"ada\"\n\
         password_file = \"/nowhere/password\"\n",
    );
    let text = "\
error: the configuration has 2 mistakes
  HOME/podbay.toml:1: registries: write `password` or `password_file` for ada at registry.example.org
  HOME/podbay.toml:4: registries: cannot read /nowhere/password: No such file or directory (os error 2)
";
    expect(&home.podbay(&check), 1, "", text);

    home.file("podbay.toml", "[ports]\nfirst = 80\n");
    let text = "error: HOME/podbay.toml:2: ports.first: write a port from 1024 on\n";
    expect(&home.podbay(&check), 1, "", text);
    home.file("podbay.toml", "[ports]\nfirst = 8000\n");
    let done = home.podbay(&check);
    assert!(done.code == 0 && done.out.ends_with("the configuration is good\n"), "{done:?}");
}
