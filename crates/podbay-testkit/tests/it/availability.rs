//! What can be ordered, in every published form.

use podbay_core::place::{CpuSize, GpuFact};
use podbay_core::published::{GpuType, Region, Security, Socket};
use podbay_testkit::TestServer;
use serde_json::{Value, json};

fn ids(page: &Value) -> Vec<String> {
    let items = page["items"].as_array().unwrap();
    items.iter().map(|item| item["cloudId"].as_str().unwrap().to_owned()).collect()
}

/// A server in a place, with two GPUs.
async fn placed() -> TestServer {
    let server = TestServer::with(|config| {
        config.place.region = Some(Region::EuWest);
        config.place.country = Some("DE".into());
        config.place.data_center = Some("cellar".into());
        config.place.security = Security::CommunityCloud;
        config.prices.gpu_default = 2.0;
    })
    .await;
    let gpu = |index| GpuFact {
        uuid: format!("GPU-{index}"),
        index,
        gpu_type: GpuType::A100x80,
        memory_gb: 80,
        socket: Socket::Sxm4,
    };
    server.world.facts(|facts| facts.gpus = vec![gpu(0), gpu(1)]);
    podbay_server::lifecycle::facts_refresh(&server.app).await.unwrap();
    server
}

const CPU: [&str; 2] = ["cpu-1x2", "cpu-4x16"];
const GPU: [&str; 2] = ["a100-80gb-x1", "a100-80gb-x2"];

#[tokio::test]
async fn each_filter_leaves_what_it_names_and_the_count_is_exact() {
    let server = placed().await;
    let ada = server.user("ada").await;
    let all = [CPU, GPU].concat();
    let cases: [(&str, &[&str]); 16] = [
        ("", &all),
        ("regions=eu_west", &all),
        ("regions=canada&regions=eu_west", &all),
        ("regions=canada", &[]),
        ("gpu_count=2", &GPU[1..]),
        ("gpu_count=1", &[CPU[0], CPU[1], GPU[0]]),
        ("gpu_count=7", &[]),
        ("gpu_type=CPU_NODE", &CPU),
        ("gpu_type=A100_80GB&gpu_count=1", &GPU[..1]),
        ("gpu_type=H100_80GB", &[]),
        ("socket=SXM4", &GPU),
        ("security=community_cloud", &all),
        ("security=secure_cloud", &[]),
        ("data_center_id=cellar", &all),
        ("data_center_id=attic", &[]),
        ("cloud_id=cpu-4x16", &CPU[1..]),
    ];
    for (query, expected) in cases {
        let page = ada.get(&format!("/api/v1/availability/gpus?{query}")).await.ok();
        assert_eq!(ids(&page), expected, "{query}");
        assert_eq!(page["totalCount"], expected.len(), "{query}");
        let map = ada.get(&format!("/api/v1/availability/?{query}")).await.ok();
        let rows: Vec<&Value> =
            map.as_object().unwrap().values().flat_map(|v| v.as_array().unwrap()).collect();
        assert_eq!(rows.len(), expected.len(), "the legacy map for {query}");
    }
}

#[tokio::test]
async fn pages_are_stable_disjoint_and_complete() {
    let server = TestServer::with(|config| {
        config.cpu_sizes =
            (1..=30).map(|number| CpuSize { vcpus: number, memory_gb: 2, disk_gb: 1 }).collect();
    })
    .await;
    let ada = server.user("ada").await;
    let all = ids(&ada.get("/api/v1/availability/gpus").await.ok());
    assert_eq!(all.len(), 30);
    let mut seen = Vec::new();
    for page in 1..=5 {
        let page = ada.get(&format!("/api/v1/availability/gpus?page={page}&page_size=7")).await.ok();
        assert_eq!(page["totalCount"], 30);
        seen.extend(ids(&page));
        // What is ordered in between changes the stock, not the order.
        ada.post("/api/v1/pods", &TestServer::order()).await.ok();
    }
    assert_eq!(seen, all);
    let beyond = ada.get("/api/v1/availability/gpus?page=6&page_size=7").await.ok();
    assert_eq!(beyond, json!({ "items": [], "totalCount": 30 }));
    let far = ada.get("/api/v1/availability/gpus?page=4294967295&page_size=100").await.ok();
    assert_eq!(far, json!({ "items": [], "totalCount": 30 }));
}

#[tokio::test]
async fn page_sizes_have_their_published_bounds() {
    let server = TestServer::with(|config| {
        config.cpu_sizes =
            (1..=120).map(|number| CpuSize { vcpus: 1, memory_gb: number, disk_gb: 1 }).collect();
    })
    .await;
    let ada = server.user("ada").await;
    for query in ["", "?page_size=100"] {
        let page = ada.get(&format!("/api/v1/availability/gpus{query}")).await.ok();
        assert_eq!((ids(&page).len(), &page["totalCount"]), (100, &json!(120)), "{query}");
    }
    for (query, expected) in [("", 120), ("?page_size=500", 120), ("?page_size=110", 110)] {
        let map = ada.get(&format!("/api/v1/availability/{query}")).await.ok();
        assert_eq!(map["CPU_NODE"].as_array().unwrap().len(), expected, "{query}");
    }
    for (path, most) in [("gpus", 100), ("multi-node", 100), ("", 500), ("clusters", 500)] {
        for size in [0, most + 1] {
            let said = ada.get(&format!("/api/v1/availability/{path}?page_size={size}")).await.error(422);
            assert_eq!(said, format!("query.page_size: write a whole number from 1 to {most}"));
        }
        for (query, text) in [
            ("page=0", "query.page: write a whole number, 1 or more"),
            ("gpu_count=none", "query.gpu_count: write a whole number, 1 or more"),
            ("gpu_type=ABACUS", "query.gpu_type: unknown value; known are: those of the offers"),
            ("security=none", "query.security: unknown value; known are: secure_cloud, community_cloud"),
        ] {
            let said = ada.get(&format!("/api/v1/availability/{path}?{query}")).await.error(422);
            assert_eq!(said, text, "{path}?{query}");
        }
        let said =
            ada.get(&format!("/api/v1/availability/{path}?regions=mars%26x&regions=canada")).await.error(422);
        assert!(said.starts_with("query.regions: unknown value; known are: africa, "), "{said}");
    }
}

#[tokio::test]
async fn offers_of_disks_have_their_own_filters_and_ignore_those_of_gpus() {
    let server = placed().await;
    let ada = server.user("ada").await;
    let path = "/api/v1/availability/disks";
    let all = ada.get(path).await.ok();
    assert_eq!((&all["totalCount"], &all["items"][0]["cloudId"]), (&json!(1), &json!("disk")));
    for query in [
        "gpu_type=x",
        "gpu_count=0",
        "socket=x",
        "security=none",
        "disks=x",
        "gpu_type=A100_80GB&gpu_count=2&socket=SXM4&security=secure_cloud",
    ] {
        assert_eq!(ada.get(&format!("{path}?{query}")).await.ok(), all, "{query}");
    }
    for (query, expected) in [
        ("regions=canada&regions=eu_west", 1),
        ("regions=canada", 0),
        ("data_center_id=cellar&cloud_id=disk", 1),
        ("data_center_id=attic", 0),
        ("cloud_id=cpu-1x2", 0),
    ] {
        assert_eq!(ada.get(&format!("{path}?{query}")).await.ok()["totalCount"], expected, "{query}");
    }
    for (query, text) in [
        ("page=0", "query.page: write a whole number, 1 or more"),
        ("page_size=101", "query.page_size: write a whole number from 1 to 100"),
    ] {
        assert_eq!(ada.get(&format!("{path}?{query}")).await.error(422), text);
    }
    let said = ada.get(&format!("{path}?regions=mars")).await.error(422);
    assert!(said.starts_with("query.regions: unknown value; known are: africa, "), "{said}");
}

#[tokio::test]
async fn offers_of_several_machines_are_none_in_every_form() {
    let server = placed().await;
    let ada = server.user("ada").await;
    let page = ada.get("/api/v1/availability/multi-node?gpu_type=A100_80GB&page=2").await.ok();
    assert_eq!(page, json!({ "items": [], "totalCount": 0 }));
    assert_eq!(ada.get("/api/v1/availability/clusters").await.ok(), json!({}));
    assert_eq!(ada.get("/api/v1/availability/multi-node-summary").await.ok(), json!({}));
}

#[tokio::test]
async fn the_summary_has_the_cheapest_price_and_that_of_the_region() {
    let server = placed().await;
    let ada = server.user("ada").await;
    let price = |dollars: f64| json!({ "onDemand": null, "communityPrice": dollars, "spotPrice": null });
    let row = |dollars: f64| json!({ "cheapest": price(dollars), "eu_west": price(dollars) });
    let summary = ada.get("/api/v1/availability/gpu-summary").await.ok();
    let expected = json!({
        "A100_80GB": { "1": row(2.0), "2": row(4.0) },
        "CPU_NODE": { "1": row(0.026) },
    });
    assert_eq!(summary, expected);
    let offer = &ada.get("/api/v1/availability/gpus?cloud_id=a100-80gb-x2").await.ok()["items"][0];
    let place = ["region", "country", "dataCenter", "security"].map(|key| offer[key].as_str().unwrap());
    assert_eq!(place, ["eu_west", "DE", "cellar", "community_cloud"]);
    assert_eq!(offer["prices"]["communityPrice"], 4.0);
    assert_eq!(offer["images"], json!(["ubuntu_22_cuda_12", "ubuntu_26"]));
}

#[tokio::test]
async fn skypilot_finds_a_row_for_each_offer() {
    let server = placed().await;
    let ada = server.user("ada").await;
    let reply = ada.get("/skypilot/vms.csv").await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.headers["content-type"], "text/csv; charset=utf-8");
    let gpus = |count: u32| {
        let total = 81920 * count;
        format!(
            "\"{{\"\"Gpus\"\":[{{\"\"Count\"\":{count},\"\"MemoryInfo\"\":{{\"\"SizeInMiB\"\":81920}},\
             \"\"Name\"\":\"\"A100-80GB\"\"}}],\"\"TotalGpuMemoryInMiB\"\":{total}}}\""
        )
    };
    let expected = format!(
        "InstanceType,UpstreamCloudId,vCPUs,MemoryGiB,AcceleratorName,AcceleratorCount,GpuInfo,Region,\
         AvailabilityZone,Price,SpotPrice\n\
         primecompute__CPU_NODE__1__2,cpu-1x2,1,2,,,,DE,cellar,0.026,\n\
         primecompute__CPU_NODE__4__16,cpu-4x16,4,16,,,,DE,cellar,0.128,\n\
         primecompute__1xA100_80GB__32__128,a100-80gb-x1,32,128,A100-80GB,1,{},DE,cellar,2,\n\
         primecompute__2xA100_80GB__64__256,a100-80gb-x2,64,256,A100-80GB,2,{},DE,cellar,4,\n",
        gpus(1),
        gpus(2)
    );
    assert_eq!(reply.text, expected);
}

#[tokio::test]
async fn a_place_that_is_not_named_is_left_out_of_the_orders_of_skypilot() {
    let server = TestServer::with(|config| config.place.data_center = None).await;
    let text = server.user("ada").await.get("/skypilot/vms.csv").await.text;
    assert!(
        text.contains("\nprimecompute__CPU_NODE__1__2,cpu-1x2,1,2,,,,UNSPECIFIED,UNSPECIFIED,"),
        "{text}"
    );
}
