//! Offers and placement: from the facts of a host and the owner's terms to what can be ordered.

use crate::published::{GpuType, ImageName, Region, Security, Socket};
use crate::{HostId, Micros, PricePerHour};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One GPU of a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GpuFact {
    /// The driver's unique name.
    pub uuid: String,
    /// Its number on the host.
    pub index: u32,
    /// The published type that model and memory map to.
    pub gpu_type: GpuType,
    /// Memory in GB.
    pub memory_gb: u32,
    /// Socket.
    pub socket: Socket,
}

/// What a host has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostFacts {
    /// CPUs that pods may use.
    pub vcpus: u32,
    /// Memory in GB that pods may use.
    pub memory_gb: u32,
    /// Disk in GB that pods may use.
    pub disk_gb: u32,
    /// Platform of images that run here, as in `amd64`.
    pub architecture: String,
    /// GPUs.
    pub gpus: Vec<GpuFact>,
    /// Name and version of the engine.
    pub engine: String,
    /// Whether the storage driver can hold a container to its disk size.
    pub disk_quota: bool,
    /// Whether the engine can hold a volume to its size.
    #[serde(default)]
    pub volume_quota: bool,
}

/// A size of machine without GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CpuSize {
    /// CPUs.
    pub vcpus: u32,
    /// Memory in GB.
    pub memory_gb: u32,
    /// Disk in GB.
    pub disk_gb: u32,
}

/// What the owner asks for and says of the host.
#[derive(Clone, Debug, PartialEq)]
pub struct Terms {
    /// Sizes offered without GPU; those larger than the host are left out.
    pub cpu_sizes: Vec<CpuSize>,
    /// Per vCPU and hour of a CPU size.
    pub price_vcpu: PricePerHour,
    /// Per GB of memory and hour of a CPU size.
    pub price_memory_gb: PricePerHour,
    /// Per GPU and hour, by type.
    pub price_gpu: BTreeMap<GpuType, PricePerHour>,
    /// Per GPU and hour of a type that has no price of its own.
    pub price_gpu_default: PricePerHour,
    /// Published region.
    pub region: Option<Region>,
    /// ISO 3166 country.
    pub country: Option<String>,
    /// Name of the data centre.
    pub data_center: Option<String>,
    /// Security class.
    pub security: Security,
    /// Images that are offered, in order; the first is the default.
    pub images: Vec<ImageName>,
}

/// Something that can be ordered.
#[derive(Clone, Debug, PartialEq)]
pub struct Offer {
    /// Unique id.
    pub cloud_id: String,
    /// GPU type.
    pub gpu_type: GpuType,
    /// Socket.
    pub socket: Socket,
    /// GPUs; 1 for a CPU node.
    pub gpu_count: u32,
    /// Memory of one GPU in GB; 0 for a CPU node.
    pub gpu_memory_gb: u32,
    /// What one pod of it takes.
    pub size: CpuSize,
    /// What one pod of it costs.
    pub price: PricePerHour,
    /// Largest number of pods of it that the host holds when empty.
    pub stock: u32,
}

impl Offer {
    /// GPUs that a pod of it takes from the host.
    #[must_use]
    pub fn gpus(&self) -> u32 {
        if self.gpu_type == GpuType::CpuNode { 0 } else { self.gpu_count }
    }

    /// Takes the lesser of both, in everything in which hosts differ.
    fn promise_less(&mut self, other: &Self) {
        let (mine, theirs) = (&mut self.size, &other.size);
        mine.vcpus = mine.vcpus.min(theirs.vcpus);
        mine.memory_gb = mine.memory_gb.min(theirs.memory_gb);
        mine.disk_gb = mine.disk_gb.min(theirs.disk_gb);
        self.gpu_memory_gb = self.gpu_memory_gb.min(other.gpu_memory_gb);
        if self.socket != other.socket {
            self.socket = Socket::Pcie;
        }
    }
}

/// What is left of a host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Free {
    /// CPUs.
    pub vcpus: u32,
    /// Memory in GB.
    pub memory_gb: u32,
    /// Disk in GB.
    pub disk_gb: u32,
    /// GPUs by type; also types of which none is left.
    pub gpus: BTreeMap<GpuType, u32>,
}

impl Free {
    /// How many pods of `offer` still fit.
    #[must_use]
    pub fn fits(&self, offer: &Offer) -> u32 {
        let times = |free: u32, needed: u32| free.checked_div(needed).unwrap_or(u32::MAX);
        let gpus = self.gpus_of(offer.gpu_type);
        times(self.vcpus, offer.size.vcpus)
            .min(times(self.memory_gb, offer.size.memory_gb))
            .min(times(self.disk_gb, offer.size.disk_gb))
            .min(times(gpus, offer.gpus()))
    }

    fn gpus_of(&self, gpu_type: GpuType) -> u32 {
        self.gpus.get(&gpu_type).copied().unwrap_or(0)
    }

    /// What is free, as a person reads it.
    #[must_use]
    pub fn describe(&self) -> String {
        let mut text = format!("{} vCPU, {} GB memory, {} GB disk", self.vcpus, self.memory_gb, self.disk_gb);
        for (gpu_type, count) in &self.gpus {
            text.push_str(&format!(", {count} × {gpu_type}"));
        }
        text
    }
}

/// All of a host.
#[must_use]
pub fn whole(facts: &HostFacts) -> Free {
    let mut gpus = BTreeMap::new();
    for gpu in &facts.gpus {
        *gpus.entry(gpu.gpu_type).or_insert(0) += 1;
    }
    Free { vcpus: facts.vcpus, memory_gb: facts.memory_gb, disk_gb: facts.disk_gb, gpus }
}

/// What can be ordered from some hosts, in a stable order: CPU sizes, then GPU types by count. An offer that several
/// hosts have promises what each of them can keep.
#[must_use]
pub fn offers<'h>(hosts: impl IntoIterator<Item = &'h HostFacts>, terms: &Terms) -> Vec<Offer> {
    let hosts: Vec<&HostFacts> = hosts.into_iter().collect();
    let mut offers: Vec<Offer> = terms.cpu_sizes.iter().map(|size| cpu_offer(*size, terms)).collect();
    let cpu_count = offers.len();
    for facts in &hosts {
        for offer in gpu_offers(facts, terms) {
            match offers[cpu_count..].iter_mut().find(|known| known.cloud_id == offer.cloud_id) {
                Some(known) => known.promise_less(&offer),
                None => offers.push(offer),
            }
        }
    }
    offers[cpu_count..].sort_by_key(|offer| (offer.gpu_type, offer.gpu_count));
    for offer in &mut offers {
        offer.stock = hosts.iter().map(|facts| whole(facts).fits(offer)).fold(0, u32::saturating_add);
    }
    offers.retain(|offer| offer.stock > 0);
    offers
}

fn gpu_offers(facts: &HostFacts, terms: &Terms) -> Vec<Offer> {
    let mut offers = Vec::new();
    for (gpu_type, total) in whole(facts).gpus {
        let Some(gpu) = facts.gpus.iter().find(|gpu| gpu.gpu_type == gpu_type) else { continue };
        let gpu = GpuFact { socket: socket_promised(facts, gpu_type), ..gpu.clone() };
        offers.extend((1..=total).map(|count| gpu_offer(&gpu, count, facts, terms)));
    }
    offers
}

/// The hosts on which a pod or a disk of that size fits now, the best first. Best is the one that loses least by
/// it: one without GPUs, then the one with the fewest left, and then with the least of everything else, so that
/// what is whole stays whole for those who need it so.
#[must_use]
pub fn candidates<'h>(
    hosts: impl IntoIterator<Item = (&'h HostId, &'h Free)>,
    size: &CpuSize,
    gpus: Option<(GpuType, u32)>,
) -> Vec<HostId> {
    let fits = |free: &Free| {
        let has = gpus.is_none_or(|(gpu_type, count)| free.gpus_of(gpu_type) >= count);
        has && free.vcpus >= size.vcpus && free.memory_gb >= size.memory_gb && free.disk_gb >= size.disk_gb
    };
    let mut fitting: Vec<_> = hosts.into_iter().filter(|(_, free)| fits(free)).collect();
    fitting.sort_by_key(|(id, free)| {
        let left = free.gpus.values().sum::<u32>();
        (!free.gpus.is_empty(), left, free.vcpus, free.memory_gb, free.disk_gb, id.as_str())
    });
    fitting.into_iter().map(|(id, _)| id.clone()).collect()
}

/// The socket that all GPUs of a type have. A host that has them in several gives whichever is free, so it promises
/// the one that promises least.
fn socket_promised(facts: &HostFacts, gpu_type: GpuType) -> Socket {
    let mut sockets = facts.gpus.iter().filter(|gpu| gpu.gpu_type == gpu_type).map(|gpu| gpu.socket);
    let first = sockets.next().unwrap_or(Socket::Pcie);
    if sockets.all(|socket| socket == first) { first } else { Socket::Pcie }
}

fn cpu_offer(size: CpuSize, terms: &Terms) -> Offer {
    let price =
        terms.price_vcpu.0 * i64::from(size.vcpus) + terms.price_memory_gb.0 * i64::from(size.memory_gb);
    Offer {
        cloud_id: format!("cpu-{}x{}", size.vcpus, size.memory_gb),
        gpu_type: GpuType::CpuNode,
        socket: Socket::Pcie,
        gpu_count: 1,
        gpu_memory_gb: 0,
        size,
        price: Micros(price),
        stock: 0,
    }
}

/// A share of the host in proportion to the GPUs.
fn gpu_offer(gpu: &GpuFact, count: u32, facts: &HostFacts, terms: &Terms) -> Offer {
    let all = u32::try_from(facts.gpus.len()).unwrap_or(u32::MAX).max(1);
    let share = |total: u32| (u64::from(total) * u64::from(count) / u64::from(all)).max(1) as u32;
    let each = terms.price_gpu.get(&gpu.gpu_type).copied().unwrap_or(terms.price_gpu_default);
    Offer {
        cloud_id: format!("{}-x{count}", gpu.gpu_type.as_str().to_ascii_lowercase().replace('_', "-")),
        gpu_type: gpu.gpu_type,
        socket: gpu.socket,
        gpu_count: count,
        gpu_memory_gb: gpu.memory_gb,
        size: CpuSize {
            vcpus: share(facts.vcpus),
            memory_gb: share(facts.memory_gb),
            disk_gb: share(facts.disk_gb),
        },
        price: Micros(each.0 * i64::from(count)),
        stock: 0,
    }
}

/// Memory in GB of the processor that sits on one board with a GH200. The largest published type counts it in, and
/// its driver does not.
const GRACE_MEMORY_GB: u64 = 480;

/// The published type of a GPU, from the driver's product name and its memory in MiB; `None` for
/// a model that the published enumeration does not know.
///
/// The longest model name that the product name contains is its own: a GB200 is no B200. Then the memory decides,
/// where the type names one.
#[must_use]
pub fn gpu_type(product: &str, memory_mib: u64) -> Option<GpuType> {
    let squeezed = squeeze(product);
    let gb = (memory_mib + 512) / 1024;
    let candidates = GpuType::ALL.iter().filter(|candidate| **candidate != GpuType::CpuNode);
    let named = candidates.filter_map(|candidate| {
        let (model, label) = model_and_memory(*candidate);
        squeezed.contains(&model).then_some((model.len(), label, *candidate))
    });
    let named: Vec<_> = named.collect();
    let longest = named.iter().map(|(length, ..)| *length).max()?;
    let fitting =
        named.into_iter().filter(|(length, ..)| *length == longest).filter_map(|(_, label, found)| {
            let distance = label.map_or(Some(0), |label| distance(label, gb))?;
            Some((distance, found))
        });
    fitting.min_by_key(|(distance, _)| *distance).map(|(_, found)| found)
}

fn squeeze(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_uppercase()
}

/// What a product name of that type contains, and the memory in GB that the type names.
fn model_and_memory(gpu_type: GpuType) -> (String, Option<u64>) {
    let text = gpu_type.as_str();
    let split = text.rsplit_once('_').and_then(|(model, memory)| {
        let memory = memory.strip_suffix("GB")?.parse().ok()?;
        Some((model, memory))
    });
    let (model, memory) = split.map_or((text, None), |(model, memory)| (model, Some(memory)));
    (squeeze(model).replace("RTXPRO6000B", "RTXPRO6000BLACKWELL"), memory)
}

/// How far the memory of a GPU is from that of its label; `None` if it is another model. Drivers report a few
/// percent less, and some editions have up to a quarter more.
fn distance(label: u64, gb: u64) -> Option<u64> {
    let alone = label.checked_sub(GRACE_MEMORY_GB).filter(|rest| *rest > 0).unwrap_or(label);
    let fits = |label: &u64| label - label / 8 - 1 <= gb && gb <= label + label / 4;
    [label, alone].into_iter().filter(fits).map(|label| label.abs_diff(gb)).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms() -> Terms {
        Terms {
            cpu_sizes: vec![
                CpuSize { vcpus: 1, memory_gb: 2, disk_gb: 10 },
                CpuSize { vcpus: 64, memory_gb: 512, disk_gb: 10 },
            ],
            price_vcpu: Micros(10_000),
            price_memory_gb: Micros(1_000),
            price_gpu: BTreeMap::from([(GpuType::H100, Micros(2_000_000))]),
            price_gpu_default: Micros(1_000_000),
            region: None,
            country: None,
            data_center: None,
            security: Security::SecureCloud,
            images: vec![ImageName::Ubuntu22Cuda12],
        }
    }

    #[test]
    fn offers_are_sizes_that_fit_and_one_for_each_model_and_count() {
        let gpu = |index| GpuFact {
            uuid: format!("GPU-{index}"),
            index,
            gpu_type: GpuType::H100,
            memory_gb: 80,
            socket: Socket::Sxm5,
        };
        let facts = HostFacts {
            vcpus: 16,
            memory_gb: 128,
            disk_gb: 100,
            gpus: vec![gpu(0), gpu(1)],
            ..HostFacts::default()
        };
        let offers = offers([&facts], &terms());
        let ids: Vec<_> = offers.iter().map(|offer| (offer.cloud_id.as_str(), offer.stock)).collect();
        assert_eq!(ids, [("cpu-1x2", 10), ("h100-80gb-x1", 2), ("h100-80gb-x2", 1)]);
        assert_eq!(offers[0].price, Micros(12_000));
        assert_eq!(offers[2].price, Micros(4_000_000));
        assert_eq!(offers[1].size, CpuSize { vcpus: 8, memory_gb: 64, disk_gb: 50 });
    }

    #[test]
    fn a_host_with_two_sockets_promises_the_lesser() {
        let gpu = |index, socket| GpuFact {
            uuid: format!("GPU-{index}"),
            index,
            gpu_type: GpuType::H100,
            memory_gb: 80,
            socket,
        };
        let sockets = |gpus| {
            let facts = HostFacts { vcpus: 4, memory_gb: 4, disk_gb: 4, gpus, ..HostFacts::default() };
            let offers = offers([&facts], &Terms { cpu_sizes: Vec::new(), ..terms() });
            offers.into_iter().map(|offer| (offer.cloud_id, offer.socket)).collect::<Vec<_>>()
        };
        let ids = ["h100-80gb-x1", "h100-80gb-x2"].map(str::to_owned);
        let all = |socket| ids.clone().map(|id| (id, socket));
        assert_eq!(sockets(vec![gpu(0, Socket::Sxm5), gpu(1, Socket::Sxm5)]), all(Socket::Sxm5));
        assert_eq!(sockets(vec![gpu(0, Socket::Sxm5), gpu(1, Socket::Pcie)]), all(Socket::Pcie));
    }

    #[test]
    fn several_hosts_promise_what_each_can_keep() {
        let gpu = |index, socket| GpuFact {
            uuid: format!("GPU-{index}"),
            index,
            gpu_type: GpuType::H100,
            memory_gb: 80,
            socket,
        };
        let large = HostFacts {
            vcpus: 64,
            memory_gb: 512,
            disk_gb: 1000,
            gpus: vec![gpu(0, Socket::Sxm5), gpu(1, Socket::Sxm5)],
            ..HostFacts::default()
        };
        let small = HostFacts { vcpus: 8, memory_gb: 900, disk_gb: 500, ..large.clone() };
        let small = HostFacts { gpus: vec![gpu(2, Socket::Pcie)], ..small };
        let plain = HostFacts { gpus: Vec::new(), ..small.clone() };
        let offers = offers([&plain, &small, &large], &terms());
        let ids: Vec<_> = offers.iter().map(|offer| (offer.cloud_id.as_str(), offer.stock)).collect();
        assert_eq!(ids, [("cpu-1x2", 80), ("cpu-64x512", 1), ("h100-80gb-x1", 3), ("h100-80gb-x2", 1)]);
        let one = &offers[2];
        assert_eq!(
            (one.size, one.socket),
            (CpuSize { vcpus: 8, memory_gb: 256, disk_gb: 500 }, Socket::Pcie)
        );
        assert_eq!(offers[3].socket, Socket::Sxm5, "only the large one has two");
    }

    #[test]
    fn a_pod_goes_where_least_is_lost() {
        let id = |name: &str| HostId::from_stored(name.into());
        let free = |vcpus, gpus: u32| Free {
            vcpus,
            memory_gb: 100,
            disk_gb: 100,
            gpus: BTreeMap::from([(GpuType::H100, gpus)]),
        };
        let plain = Free { gpus: BTreeMap::new(), ..free(32, 0) };
        let hosts = [
            (id("a"), free(64, 8)),
            (id("b"), free(16, 2)),
            (id("c"), free(8, 2)),
            (id("d"), free(4, 0)),
            (id("e"), plain),
        ];
        let of = |vcpus, gpus: Option<u32>| {
            let size = CpuSize { vcpus, memory_gb: 10, disk_gb: 10 };
            let gpus = gpus.map(|count| (GpuType::H100, count));
            let found = candidates(hosts.iter().map(|(id, free)| (id, free)), &size, gpus);
            found.iter().map(|id| id.as_str().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(of(1, None), ["e", "d", "c", "b", "a"], "GPUs that are taken now will be free again");
        assert_eq!(of(1, Some(1)), ["c", "b", "a"]);
        assert_eq!(of(1, Some(4)), ["a"]);
        assert_eq!(of(16, Some(2)), ["b", "a"]);
        assert!(of(65, None).is_empty());
    }

    #[test]
    fn driver_names_map_to_the_published_types() {
        let cases = [
            ("NVIDIA H100 80GB HBM3", 81_559, Some(GpuType::H100)),
            ("NVIDIA H100 PCIe", 81_559, Some(GpuType::H100)),
            ("NVIDIA H100 NVL", 95_830, Some(GpuType::H100)),
            ("NVIDIA H200", 143_771, Some(GpuType::H200)),
            ("NVIDIA H200 NVL", 143_771, Some(GpuType::H200)),
            ("NVIDIA H200", 97_871, Some(GpuType::H200x96)),
            ("NVIDIA GH200 480GB", 97_871, Some(GpuType::Gh200x96)),
            ("NVIDIA GH200 480GB", 491_520, Some(GpuType::Gh200x480)),
            ("NVIDIA GH200 144G HBM3e", 146_831, Some(GpuType::Gh200x624)),
            ("NVIDIA GH200 144G HBM3e", 638_976, Some(GpuType::Gh200x624)),
            ("NVIDIA B200", 183_359, Some(GpuType::B200)),
            ("NVIDIA GB200", 189_471, Some(GpuType::Gb200)),
            ("NVIDIA B300 SXM6 AC", 275_040, Some(GpuType::B300)),
            ("NVIDIA GB300", 284_208, Some(GpuType::Gb300)),
            ("NVIDIA A100-SXM4-40GB", 40_960, Some(GpuType::A100x40)),
            ("NVIDIA A100-PCIE-40GB", 40_960, Some(GpuType::A100x40)),
            ("NVIDIA A100-SXM4-80GB", 81_920, Some(GpuType::A100x80)),
            ("NVIDIA A100 80GB PCIe", 81_920, Some(GpuType::A100x80)),
            ("NVIDIA A10", 23_028, Some(GpuType::A10)),
            ("NVIDIA GeForce RTX 4090", 24_564, Some(GpuType::Rtx4090)),
            ("NVIDIA GeForce RTX 3080", 12_288, Some(GpuType::Rtx3080)),
            ("NVIDIA GeForce RTX 3080 Ti", 12_288, Some(GpuType::Rtx3080Ti)),
            ("NVIDIA L40", 46_068, Some(GpuType::L40)),
            ("NVIDIA L40S", 46_068, Some(GpuType::L40s)),
            ("NVIDIA L4", 23_034, Some(GpuType::L4)),
            ("Tesla T4", 15_360, Some(GpuType::T4)),
            ("Tesla V100-SXM2-16GB", 16_384, Some(GpuType::V100x16)),
            ("Tesla V100-SXM2-32GB", 32_768, Some(GpuType::V100x32)),
            ("NVIDIA RTX A6000", 49_140, Some(GpuType::A6000)),
            ("Quadro RTX 6000", 24_576, Some(GpuType::Rtx6000)),
            ("NVIDIA RTX 6000 Ada Generation", 49_140, Some(GpuType::Rtx6000Ada)),
            ("NVIDIA RTX PRO 6000 Blackwell Server Edition", 97_887, Some(GpuType::RtxPro6000B)),
            ("NVIDIA GeForce GTX 1080", 8_192, None),
            // Their names contain shorter ones of the enumeration, but they are other models.
            ("NVIDIA RTX 4000 SFF Ada Generation", 20_475, None),
            ("NVIDIA RTX A3000", 12_288, None),
            ("Quadro P4000", 8_192, None),
            ("NVIDIA T400 4GB", 4_096, None),
        ];
        for (product, memory, expected) in cases {
            assert_eq!(gpu_type(product, memory), expected, "{product}");
        }
    }
}
