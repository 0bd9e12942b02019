use super::*;

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
        ("PODBAY_REGISTRIES", "[{ server = \"r\", username = \"u\" }]"),
        ("PODBAY_REGISTRY_ALLOW", "[\"10.0.0.0/8\"]"),
        ("PODBAY_LIMITS_CONNECTIONS", "9"),
        ("PODBAY_LIMITS_CONNECTIONS_PER_ADDRESS", "8"),
        ("PODBAY_LIMITS_READ", "{ rate = 0 }"),
        ("PODBAY_LIMITS_WRITE", "{ rate = 1, burst = 1 }"),
        ("PODBAY_LIMITS_CREATE", "{ rate = 1, burst = 1 }"),
        ("PODBAY_LIMITS_FAILED_LOGINS", "{ rate = 1, burst = 1 }"),
    ];
    assert_eq!(samples.len(), KEYS.len());
    assert!(KEYS.iter().all(|key| samples.iter().any(|(name, _)| *name == variable_of(key))));
    let plain = format!("{:?}", Config::default());
    for sample in samples {
        let config = match sample.0 {
            "PODBAY_PORTS_LAST" => load("[ports]\nfirst = 2000", &[sample]).unwrap(),
            _ => load("", &[sample]).unwrap(),
        };
        assert_ne!(format!("{config:?}"), plain, "{} had no effect", sample.0);
    }
}

#[test]
fn mistakes_are_explained_by_line() {
    let error = load("listen = \"127.0.0.1:1\"\n[engine]\nurll = \"x\"\n", &[]).unwrap_err();
    assert!(error.contains("podbay.toml") && error.contains("line 3") && error.contains("urll"), "{error}");
    let error = load("listen = 5\n", &[]).unwrap_err();
    assert!(error.contains("line 1"), "{error}");
    let error = load("", &[("PODBAY_ENGINE_VCPUS", "many")]).unwrap_err();
    assert!(error.contains("PODBAY_ENGINE_VCPUS"), "{error}");
    let error = load("[ports]\nfirst = 9000\nlast = 8000\n", &[]).unwrap_err();
    assert!(error.starts_with("ports:"), "{error}");
    let error = load("[billing]\nunlimited_balance_usd = 0\n", &[]).unwrap_err();
    assert_eq!(error, "billing.unlimited_balance_usd: write a number of dollars above zero");
    let error = load("[limits]\nread = { rate = 5 }\n", &[]).unwrap_err();
    assert!(error.starts_with("limits.read: write a rate of 0"), "{error}");
    let error = load("[limits]\nconnections = 0\n", &[]).unwrap_err();
    assert!(error.starts_with("limits: with no connection"), "{error}");
    let error = load("[disks]\nsize_default_gb = 20\nsize_max_gb = 10\n", &[]).unwrap_err();
    assert!(error.starts_with("disks: `size_default_gb` must be at least 1"), "{error}");
    let error = load("[prices]\ndisk_gb = -1\n", &[]).unwrap_err();
    assert!(error.starts_with("prices:"), "{error}");
}

#[test]
fn a_loopback_listener_advertises_itself() {
    let config = Config::default();
    assert_eq!(config.advertised(), IpAddr::V4(Ipv4Addr::LOCALHOST));
    assert_eq!(config.bind(), IpAddr::V4(Ipv4Addr::LOCALHOST));
    let open = Config { listen: SocketAddr::from(([0, 0, 0, 0], 80)), ..Config::default() };
    assert_eq!(open.bind(), IpAddr::V4(Ipv4Addr::UNSPECIFIED));
}
