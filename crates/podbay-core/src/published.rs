//! The enumerations of the published contract, with their wire spellings.

macro_rules! wire_enum {
    ($($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[allow(missing_docs, reason = "the wire spelling beside each variant is its documentation")]
        pub enum $name { $(#[serde(rename = $text)] $variant,)* }

        impl $name {
            /// Every value, in published order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The wire spelling.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The value of that wire spelling.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)* _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    )*};
}

wire_enum! {
    /// `GPUType`: model and memory of one GPU; `CPU_NODE` for a machine without.
    GpuType {
        CpuNode = "CPU_NODE", A10 = "A10_24GB", A100x80 = "A100_80GB", A100x40 = "A100_40GB", A30 = "A30_24GB",
        A40 = "A40_48GB", B200 = "B200_180GB", B300 = "B300_262GB", Gb200 = "GB200", Gb300 = "GB300",
        Rtx3070 = "RTX3070_8GB", Rtx3080 = "RTX3080_10GB", Rtx3080Ti = "RTX3080Ti_12GB", Rtx3090 = "RTX3090_24GB",
        Rtx3090Ti = "RTX3090Ti_24GB", Rtx4070Ti = "RTX4070Ti_12GB", Rtx4080 = "RTX4080_16GB",
        Rtx4080Ti = "RTX4080Ti_16GB", Rtx4090 = "RTX4090_24GB", Rtx5090 = "RTX5090_32GB", H100 = "H100_80GB",
        H200x96 = "H200_96GB", Gh200x96 = "GH200_96GB", H200 = "H200_141GB", Gh200x480 = "GH200_480GB",
        Gh200x624 = "GH200_624GB", L4 = "L4_24GB", L40 = "L40_48GB", L40s = "L40S_48GB", Rtx4000 = "RTX4000_8GB",
        Rtx5000 = "RTX5000_16GB", Rtx6000 = "RTX6000_24GB", Rtx8000 = "RTX8000_48GB",
        Rtx2000Ada = "RTX2000Ada_16GB", Rtx4000Ada = "RTX4000Ada_20GB", Rtx5000Ada = "RTX5000Ada_32GB",
        Rtx6000Ada = "RTX6000Ada_48GB", A2000 = "A2000_6GB", A4000 = "A4000_16GB", A4500 = "A4500_20GB",
        A5000 = "A5000_24GB", A6000 = "A6000_48GB", V100x16 = "V100_16GB", V100x32 = "V100_32GB",
        P100 = "P100_16GB", T4 = "T4_16GB", P4 = "P4_8GB", P40 = "P40_24GB", RtxPro6000B = "RTX_PRO_6000B_96GB",
    }
    /// `GPUSocket`: how the GPU sits in the machine.
    Socket {
        Pcie = "PCIe", Sxm2 = "SXM2", Sxm3 = "SXM3", Sxm4 = "SXM4", Sxm5 = "SXM5", Sxm6 = "SXM6",
    }
    /// `ProviderTypeEnum`. Pods of this server are `primecompute`: the one that every client treats as a full machine.
    ProviderType {
        Runpod = "runpod", Fluidstack = "fluidstack", Lambdalabs = "lambdalabs", Hyperstack = "hyperstack",
        Oblivus = "oblivus", Cudocompute = "cudocompute", Scaleway = "scaleway", Tensordock = "tensordock",
        Datacrunch = "datacrunch", Latitude = "latitude", Crusoecloud = "crusoecloud", Massedcompute = "massedcompute",
        Akash = "akash", Primeintellect = "primeintellect", Primecompute = "primecompute", DcImpala = "dc_impala",
        DcKudu = "dc_kudu", DcRoan = "dc_roan", Nebius = "nebius", DcEland = "dc_eland",
        DcWildebeest = "dc_wildebeest", Vultr = "vultr", DcGnu = "dc_gnu", Denvr = "denvr",
    }
    /// `EnvironmentTypeEnum`: the published image names. The owner's configuration maps them to OCI references.
    ImageName {
        Ubuntu22Cuda12 = "ubuntu_22_cuda_12", Cuda121Pytorch22 = "cuda_12_1_pytorch_2_2",
        Cuda118Pytorch21 = "cuda_11_8_pytorch_2_1", Cuda121Pytorch23 = "cuda_12_1_pytorch_2_3",
        Cuda121Pytorch24 = "cuda_12_1_pytorch_2_4", Cuda124Pytorch24 = "cuda_12_4_pytorch_2_4",
        Cuda124Pytorch25 = "cuda_12_4_pytorch_2_5", Cuda124Pytorch26 = "cuda_12_4_pytorch_2_6",
        Cuda126Pytorch27 = "cuda_12_6_pytorch_2_7", StableDiffusion = "stable_diffusion", Axolotl = "axolotl",
        Bittensor = "bittensor", Hivemind = "hivemind", PetalsLlama = "petals_llama", VllmLlama8b = "vllm_llama_8b",
        VllmLlama70b = "vllm_llama_70b", VllmLlama405b = "vllm_llama_405b", CustomTemplate = "custom_template",
        Flux = "flux", PrimeRl = "prime_rl", Ubuntu26 = "ubuntu_26",
    }
    /// `RegionEnum`.
    Region {
        Africa = "africa", AsiaSouth = "asia_south", AsiaNortheast = "asia_northeast", Australia = "australia",
        Canada = "canada", EuEast = "eu_east", EuNorth = "eu_north", EuWest = "eu_west", MiddleEast = "middle_east",
        SouthAmerica = "south_america", UnitedStates = "united_states",
    }
    /// `SecurityType`.
    Security { SecureCloud = "secure_cloud", CommunityCloud = "community_cloud", }
    /// `PodStatusEnum`. `UNKNOWN` is published but never sent: one client crashes on it.
    PodStatus {
        Provisioning = "PROVISIONING", Pending = "PENDING", Active = "ACTIVE", Stopped = "STOPPED", Error = "ERROR",
        Deleting = "DELETING", Unknown = "UNKNOWN", Terminated = "TERMINATED",
    }
    /// `InstallationStatusEnum`.
    InstallationStatus {
        Pending = "PENDING", Active = "ACTIVE", Finished = "FINISHED", Error = "ERROR", Terminated = "TERMINATED",
    }
    /// `ProtocolEnum`.
    Protocol { Tcp = "TCP", Udp = "UDP", }
    /// `UsedByEnum`.
    UsedBy { Ssh = "SSH", JupyterNotebook = "JUPYTER_NOTEBOOK", WebServer = "WEB_SERVER", }
    /// `StockStatus`.
    StockStatus {
        Available = "Available", Low = "Low", Medium = "Medium", High = "High", Unavailable = "Unavailable",
    }
    /// `AttachableResourceType`.
    AttachableType { Disk = "DISK", }
    /// `AttachableResourceStatus`.
    AttachableStatus { Unattached = "UNATTACHED", Attached = "ATTACHED", Mounted = "MOUNTED", }
    /// `Currency`.
    Currency { Usd = "USD", Eur = "EUR", }
    /// `UserRoleEnum`.
    UserRole { Admin = "ADMIN", Manager = "MANAGER", User = "USER", }
    /// `TeamRoleEnum`. An ADMIN invites, removes, and deletes every resource of the team.
    TeamRole { Admin = "ADMIN", Member = "MEMBER", }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_read_back_and_is_unique() {
        for gpu in GpuType::ALL {
            assert_eq!(GpuType::parse(gpu.as_str()), Some(*gpu));
            assert_eq!(serde_json::to_value(gpu).unwrap(), gpu.as_str());
        }
        assert_eq!(GpuType::ALL.len(), 49);
        assert_eq!(ProviderType::ALL.len(), 24);
        assert_eq!(PodStatus::parse("active"), None);
    }
}
