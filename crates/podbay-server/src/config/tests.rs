use super::load::KEYS;
use super::*;
use serde_json::Value;
use std::collections::BTreeSet;

fn load(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("podbay.toml");
    std::fs::write(&path, text).unwrap();
    let variable = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
    Config::load_with(Some(&path), variable)
        .map_err(|error| error.to_string().replace(path.to_str().unwrap(), "podbay.toml"))
}

#[test]
fn every_key_can_be_overridden_from_the_environment() {
    let samples = [
        ("PODBAY_LISTEN", "0.0.0.0:9"),
        ("PODBAY_DATA_DIR", "/x"),
        ("PODBAY_DATABASE", "postgres://h/db"),
        ("PODBAY_PUBLIC_ADDRESS", "192.0.2.7"),
        ("PODBAY_LOG", "debug"),
        ("PODBAY_OWNER", "ada"),
        ("PODBAY_ENGINE_URL", "unix:///x.sock"),
        ("PODBAY_ENGINE_VCPUS", "3"),
        ("PODBAY_ENGINE_MEMORY_GB", "4"),
        ("PODBAY_ENGINE_DISK_GB", "5"),
        ("PODBAY_ENGINE_MEMORY_RESERVE_GB", "6"),
        ("PODBAY_ENGINE_WHEN_LOST", "fail"),
        ("PODBAY_ENGINE_LOST_AFTER_MINUTES", "7"),
        ("PODBAY_PORTS_FIRST", "2000"),
        ("PODBAY_PORTS_LAST", "2001"),
        ("PODBAY_PRICES_VCPU", "0.5"),
        ("PODBAY_PRICES_MEMORY_GB", "0.25"),
        ("PODBAY_PRICES_DISK_GB", "0.125"),
        ("PODBAY_PRICES_GPU_DEFAULT", "7.5"),
        ("PODBAY_PRICES_GPU", "{ H100_80GB = 2.5 }"),
        ("PODBAY_BILLING_PREPAID", "true"),
        ("PODBAY_BILLING_UNLIMITED_BALANCE_USD", "7"),
        ("PODBAY_DISKS_SIZE_DEFAULT_GB", "7"),
        ("PODBAY_DISKS_SIZE_MAX_GB", "700"),
        ("PODBAY_PLACE_REGION", "eu_west"),
        ("PODBAY_PLACE_COUNTRY", "DE"),
        ("PODBAY_PLACE_DATA_CENTER", "cellar"),
        ("PODBAY_PLACE_SECURITY", "community_cloud"),
        ("PODBAY_CPU_SIZES", "[{ vcpus = 1, memory_gb = 1, disk_gb = 1 }]"),
        ("PODBAY_IMAGES", "{ ubuntu_22_cuda_12 = \"a/b\" }"),
        ("PODBAY_REGISTRIES", "[{ server = \"r\", username = \"u\", password = \"p\" }]"),
        ("PODBAY_REGISTRY_ALLOW", "[\"10.0.0.0/8\"]"),
        ("PODBAY_LIMITS_CONNECTIONS", "9"),
        ("PODBAY_LIMITS_CONNECTIONS_PER_ADDRESS", "8"),
        ("PODBAY_LIMITS_READ", "{ rate = 0 }"),
        ("PODBAY_LIMITS_WRITE", "{ rate = 1, burst = 1 }"),
        ("PODBAY_LIMITS_CREATE", "{ rate = 1, burst = 1 }"),
        ("PODBAY_LIMITS_FAILED_LOGINS", "{ rate = 1, burst = 1 }"),
        ("PODBAY_RETENTION_EVENTS_DAYS", "7"),
    ];
    let variable_of = |key: &&str| format!("PODBAY_{}", key.replace('.', "_").to_uppercase());
    let names: BTreeSet<String> = samples.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names, KEYS.iter().map(variable_of).collect());
    let plain = format!("{:?}", Config::default());
    for sample in samples {
        let config = match sample.0 {
            "PODBAY_PORTS_LAST" => load("[ports]\nfirst = 2000", &[sample]).unwrap(),
            _ => load("", &[sample]).unwrap(),
        };
        assert_ne!(format!("{config:?}"), plain, "{} had no effect", sample.0);
    }
}

/// The paths of everything that has a value; those of `KEYS` are not looked into.
fn leaves(path: &str, value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) if !KEYS.contains(&path) && !fields.is_empty() => {
            for (name, inner) in fields {
                let separator = if path.is_empty() { "" } else { "." };
                leaves(&format!("{path}{separator}{name}"), inner, found);
            }
        }
        _ => {
            found.insert(path.to_owned());
        }
    }
}

#[test]
fn keys_are_exactly_the_leaves_of_the_configuration() {
    let mut found = BTreeSet::new();
    leaves("", &serde_json::to_value(Config::default()).unwrap(), &mut found);
    assert_eq!(found, KEYS.iter().map(|key| (*key).to_owned()).collect());
}

#[test]
fn a_text_that_looks_like_a_number_stays_a_text() {
    for text in ["42", "true", "1.5", "1979-05-27", "[x]", "\"quoted\"", "a = b", ""] {
        let config = load("", &[("PODBAY_OWNER", text), ("PODBAY_PLACE_DATA_CENTER", text)]).unwrap();
        assert_eq!((config.owner.as_str(), config.place.data_center.as_deref()), (text, Some(text)));
    }
    let config = load("", &[("PODBAY_DATA_DIR", "7"), ("PODBAY_ENGINE_VCPUS", "7")]).unwrap();
    assert_eq!((config.data_dir, config.engine.vcpus), (PathBuf::from("7"), Some(7)));
}

fn mistakes(text: &str, variables: &[(&str, &str)]) -> Vec<String> {
    load(text, variables).unwrap_err().lines().map(str::to_owned).collect()
}

#[test]
fn every_mistake_of_a_file_is_told_with_its_line() {
    let text = r#"
lisen = "127.0.0.1:1"
log = "a=b=c"
[engine]
vcpus = "many"
urll = "x"
[ports]
first = 9000
last = 8000
[prices]
gpu = { H100_80GB = -1, H100 = 1 }
[limits]
connections = 0
read = { rate = 5 }
[[cpu_sizes]]
vcpus = 1
memory_gb = 2
disk_gb = 3
[[cpu_sizes]]
vcpus = 1
memory_gb = 2
disk_gb = 0
[images]
ubuntu_22_cuda_12 = "A/b"
axolotl = 7
"#;
    let expected = [
        "the configuration has 11 mistakes",
        "podbay.toml:2: lisen: there is no such key; there are listen, data_dir, database, public_address, log, \
         owner, engine, ports, prices, billing, disks, place, cpu_sizes, images, registries, registry_allow, limits, \
         retention",
        "podbay.toml:3: log: write a filter such as \"info\" or \"info,podbay_server=debug\"",
        "podbay.toml:5: engine.vcpus: invalid type: string \"many\", expected u32",
        "podbay.toml:6: engine.urll: there is no such key; there are url, vcpus, memory_gb, disk_gb, \
         memory_reserve_gb, when_lost, lost_after_minutes",
        "podbay.toml:8: ports.first: `first` must not be above `last`",
    ];
    let told = mistakes(text, &[]);
    assert_eq!(told[..expected.len()], expected);
    assert!(told[6].starts_with("podbay.toml:11: prices.gpu: unknown variant `H100`"), "{}", told[6]);
    let expected = [
        "podbay.toml:13: limits.connections: with no connection nobody could call: write a number above zero",
        "podbay.toml:14: limits.read: write a rate of 0 for no limit, else a rate and a burst from 1 to 1000000",
    ];
    assert_eq!(told[7..9], expected);
    let expected = [
        "podbay.toml:19: cpu_sizes: a size needs `vcpus`, `memory_gb` and `disk_gb` above zero",
        "podbay.toml:19: cpu_sizes: an earlier size has the same CPUs and memory, and the two would be the same \
         offer",
        "podbay.toml:25: images: invalid type: integer `7`, expected a string",
    ];
    assert_eq!(told[9..], expected);
}

#[test]
fn a_file_that_is_no_toml_is_explained_by_line() {
    let expected = [
        "the configuration has 2 mistakes",
        "podbay.toml:2: string values must be quoted, expected literal string",
        "podbay.toml:3: unclosed table, expected `]`",
    ];
    assert_eq!(mistakes("log = \"info\"\nowner = \n[engine\nvcpus = 3\n", &[]), expected);
}

#[test]
fn each_wrong_variable_is_named_and_no_other() {
    let told = mistakes(
        "[ports]\nlast = 8000\n",
        &[
            ("PODBAY_OWNER", "ada"),
            ("PODBAY_ENGINE_VCPUS", "many"),
            ("PODBAY_ENGINE_DISK_GB", "-1"),
            ("PODBAY_CPU_SIZES", "[{ vcpus = 1"),
            ("PODBAY_PORTS_FIRST", "9000"),
            ("PODBAY_REGISTRIES", "[{ server = \"r\", username = \"u\" }]"),
        ],
    );
    let expected = [
        "the configuration has 5 mistakes",
        "PODBAY_CPU_SIZES: unclosed inline table, expected `}`",
        "PODBAY_ENGINE_DISK_GB: invalid value: integer `-1`, expected u32",
        "PODBAY_ENGINE_VCPUS: invalid type: string \"many\", expected u32",
        "PODBAY_PORTS_FIRST: `first` must not be above `last`",
        "PODBAY_REGISTRIES: write `password` or `password_file` for u at r",
    ];
    assert_eq!(told, expected);
}

#[test]
fn what_is_compared_with_a_wrong_value_is_not_called_wrong() {
    assert_eq!(
        load("[ports]\nfirst = \"x\"\nlast = 2000\n", &[]).unwrap_err(),
        "podbay.toml:2: ports.first: invalid type: string \"x\", expected u16"
    );
}

#[test]
fn senseless_values_are_mistakes() {
    let cases = [
        (
            "[billing]\nunlimited_balance_usd = 0",
            "2: billing.unlimited_balance_usd: write a number of dollars above",
        ),
        (
            "[disks]\nsize_default_gb = 20\nsize_max_gb = 10",
            "2: disks.size_default_gb: `size_default_gb` must be",
        ),
        ("[disks]\nsize_max_gb = 10", "2: disks.size_default_gb: `size_default_gb` must be"),
        ("[prices]\ndisk_gb = -1", "2: prices.disk_gb: a price is a number of dollars"),
        ("[ports]\nfirst = 80", "2: ports.first: write a port from 1024 on"),
        ("[place]\ncountry = \"Germany\"", "2: place.country: write the two letters"),
        ("database = \"mysql://x\"", "1: database: write \"sqlite\" or a URL"),
        ("registry_allow = [\n\"10.0.0.0/8\",\n\"10.0.0.0/99\",\n]", "3: registry_allow: "),
        ("images = {}", "1: images: name at least one published image"),
        ("[images]\ncustom_template = \"a/b\"", "2: images.custom_template: templates name their images"),
        ("[images]\naxolotl = \"a b\"", "2: images.axolotl: \"a b\" is no image reference"),
        ("engine = 5", "1: engine: it is a table: write [engine]"),
    ];
    for (text, expected) in cases {
        let error = load(text, &[]).unwrap_err();
        assert!(error.starts_with(&format!("podbay.toml:{expected}")), "{text}: {error}");
    }
}

#[test]
fn passwords_of_registries_are_read_from_their_files() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    let text = format!(
        "[[registries]]\nserver = \"one.example.org:5000\"\nusername = \"ada\"\npassword_file = {file:?}\n\
         [[registries]]\nserver = \"two.example.org\"\nusername = \"eve\"\npassword = \"plain\"\n"
    );
    let error = load(&text, &[]).unwrap_err();
    let missing = format!("podbay.toml:1: registries: cannot read {}: No such file", file.display());
    assert!(error.starts_with(&missing), "{error}");
    std::fs::write(&file, "\n").unwrap();
    assert!(load(&text, &[]).unwrap_err().ends_with("password is empty"));

    std::fs::write(&file, "from the file\n").unwrap();
    let config = load(&text, &[]).unwrap();
    let credentials = |reference: &str| {
        let found = config.credentials(reference).unwrap();
        found.map(|credentials| format!("{}:{}", credentials.username, credentials.password))
    };
    assert_eq!(credentials("one.example.org:5000/a/b:1").as_deref(), Some("ada:from the file"));
    assert_eq!(credentials("two.example.org/a").as_deref(), Some("eve:plain"));
    assert_eq!(credentials("one.example.org/a/b"), None, "another port is another registry");
    std::fs::write(&file, "exchanged\n").unwrap();
    assert_eq!(credentials("one.example.org:5000/a/b").as_deref(), Some("ada:exchanged"));
    std::fs::remove_file(&file).unwrap();
    let error = config.credentials("one.example.org:5000/a/b").unwrap_err().to_string();
    assert!(error.starts_with("registry one.example.org:5000: cannot read "), "{error}");
}

#[test]
fn a_loopback_listener_advertises_itself() {
    let config = Config::default();
    assert_eq!(config.advertised(), IpAddr::V4(Ipv4Addr::LOCALHOST));
    assert_eq!(config.bind(), IpAddr::V4(Ipv4Addr::LOCALHOST));
    let open = Config { listen: SocketAddr::from(([0, 0, 0, 0], 80)), ..Config::default() };
    assert_eq!(open.bind(), IpAddr::V4(Ipv4Addr::UNSPECIFIED));
}
