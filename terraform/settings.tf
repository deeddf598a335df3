# Made by `python -m ai_services.host.documents` from src/ai_services/host/settings.py; change that instead.

# --- Name and certificate

variable "ai_domain" {
  description = "Name under which the host is reached; its certificate is for it. Needed unless ai_tls is off."
  type        = string
  default     = null

  # form
  validation {
    condition     = var.ai_domain == null ? true : can(regex("^(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)+\\.?)$", var.ai_domain)) && can(regex("^(?:.{4,254})$", var.ai_domain)) && !can(cidrhost("${var.ai_domain}/32", 0))
    error_message = "ai_domain: give a full domain name, as ai.internal.example.com."
  }

  # needed
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : ((host.ai_tls == null ? var.ai_tls : host.ai_tls) == "off" && (host.ai_dns == null ? var.ai_dns : host.ai_dns) == "none") || (host.ai_domain == null ? var.ai_domain : host.ai_domain) != null])
    error_message = "ai_domain (host ${join(", ", [for name, host in var.ai_hosts : name if !(((host.ai_tls == null ? var.ai_tls : host.ai_tls) == "off" && (host.ai_dns == null ? var.ai_dns : host.ai_dns) == "none") || (host.ai_domain == null ? var.ai_domain : host.ai_domain) != null)])}): a certificate (ai_tls) and a record (ai_dns) are for a name. Give a full domain name, as ai.internal.example.com."
  }

  # unique
  validation {
    condition     = length(compact([for host in values(var.ai_hosts) : (host.ai_domain == null ? var.ai_domain : host.ai_domain)])) == length(distinct(compact([for host in values(var.ai_hosts) : (host.ai_domain == null ? var.ai_domain : host.ai_domain)])))
    error_message = "ai_domain: two hosts have the same name. Give each host in ai_hosts an ai_domain of its own."
  }
}

variable "ai_tls" {
  description = "Where the certificate comes from: Let's Encrypt by DNS-01 at Cloudflare, your own files, or off: plain HTTP, on which keys and recordings can be read by whoever sits in between."
  type        = string
  default     = "letsencrypt"
  nullable    = false

  # form
  validation {
    condition     = contains(["letsencrypt", "own", "off"], var.ai_tls)
    error_message = "ai_tls: give letsencrypt, own or off."
  }
}

variable "ai_tls_certificate_file" {
  description = "Certificate with its chain, for ai_tls own. Needed if ai_tls is own."
  type        = string
  default     = null

  # form
  validation {
    condition     = var.ai_tls_certificate_file == null ? true : try(fileexists(pathexpand(var.ai_tls_certificate_file)) && strcontains(file(pathexpand(var.ai_tls_certificate_file)), "-----BEGIN CERTIFICATE"), false)
    error_message = "ai_tls_certificate_file: give the path of a file on this machine with the certificate and its chain (PEM)."
  }

  # needed
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : (host.ai_tls == null ? var.ai_tls : host.ai_tls) != "own" || (host.ai_tls_certificate_file == null ? var.ai_tls_certificate_file : host.ai_tls_certificate_file) != null])
    error_message = "ai_tls_certificate_file (host ${join(", ", [for name, host in var.ai_hosts : name if !((host.ai_tls == null ? var.ai_tls : host.ai_tls) != "own" || (host.ai_tls_certificate_file == null ? var.ai_tls_certificate_file : host.ai_tls_certificate_file) != null)])}): ai_tls is \"own\". Give the path of a file with the certificate and its chain (PEM)."
  }

  # unused
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : (host.ai_tls == null ? var.ai_tls : host.ai_tls) == "own" || (host.ai_tls_certificate_file == null ? var.ai_tls_certificate_file : host.ai_tls_certificate_file) == null])
    error_message = "ai_tls_certificate_file (host ${join(", ", [for name, host in var.ai_hosts : name if !((host.ai_tls == null ? var.ai_tls : host.ai_tls) == "own" || (host.ai_tls_certificate_file == null ? var.ai_tls_certificate_file : host.ai_tls_certificate_file) == null)])}): it is given, but ai_tls is not \"own\". Set ai_tls to \"own\", or leave it out."
  }
}

variable "ai_tls_key_file" {
  description = "Private key of that certificate. Needed if ai_tls is own."
  type        = string
  default     = null

  # form
  validation {
    condition     = var.ai_tls_key_file == null ? true : try(fileexists(pathexpand(var.ai_tls_key_file)) && strcontains(file(pathexpand(var.ai_tls_key_file)), "PRIVATE KEY"), false)
    error_message = "ai_tls_key_file: give the path of a file on this machine with the certificate's private key (PEM)."
  }

  # needed
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : (host.ai_tls == null ? var.ai_tls : host.ai_tls) != "own" || (host.ai_tls_key_file == null ? var.ai_tls_key_file : host.ai_tls_key_file) != null])
    error_message = "ai_tls_key_file (host ${join(", ", [for name, host in var.ai_hosts : name if !((host.ai_tls == null ? var.ai_tls : host.ai_tls) != "own" || (host.ai_tls_key_file == null ? var.ai_tls_key_file : host.ai_tls_key_file) != null)])}): ai_tls is \"own\". Give the path of a file with the certificate's private key (PEM)."
  }

  # unused
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : (host.ai_tls == null ? var.ai_tls : host.ai_tls) == "own" || (host.ai_tls_key_file == null ? var.ai_tls_key_file : host.ai_tls_key_file) == null])
    error_message = "ai_tls_key_file (host ${join(", ", [for name, host in var.ai_hosts : name if !((host.ai_tls == null ? var.ai_tls : host.ai_tls) == "own" || (host.ai_tls_key_file == null ? var.ai_tls_key_file : host.ai_tls_key_file) == null)])}): it is given, but ai_tls is not \"own\". Set ai_tls to \"own\", or leave it out."
  }
}

variable "ai_acme_email" {
  description = "Address that Let's Encrypt may write to."
  type        = string
  default     = null

  # form
  validation {
    condition     = var.ai_acme_email == null ? true : can(regex("^(?:[^\\s@]+@[^\\s@]+\\.[^\\s@]+)$", var.ai_acme_email))
    error_message = "ai_acme_email: give an e-mail address, as ops@example.com."
  }
}

variable "ai_acme_directory" {
  description = "Directory of the ACME server that issues the certificate."
  type        = string
  default     = "https://acme-v02.api.letsencrypt.org/directory"
  nullable    = false

  # form
  validation {
    condition     = can(regex("^(?:(?:https)://[^ /?#]+[^ ]*)$", var.ai_acme_directory))
    error_message = "ai_acme_directory: give an address that begins with https://."
  }
}

variable "ai_cloudflare_token_file" {
  description = "File with the Cloudflare API token that may edit the domain's zone. Needed if ai_tls is letsencrypt."
  type        = string
  default     = null

  # form
  validation {
    condition     = var.ai_cloudflare_token_file == null ? true : try(fileexists(pathexpand(var.ai_cloudflare_token_file)) && length(trimspace(file(pathexpand(var.ai_cloudflare_token_file)))) > 0, false)
    error_message = "ai_cloudflare_token_file: give the path of a file on this machine with a Cloudflare API token (permission Zone:DNS:Edit)."
  }

  # needed
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : ((host.ai_tls == null ? var.ai_tls : host.ai_tls) != "letsencrypt" || (host.ai_cloudflare_token_file == null ? var.ai_cloudflare_token_file : host.ai_cloudflare_token_file) != null) && ((host.ai_dns == null ? var.ai_dns : host.ai_dns) != "cloudflare_record" || var.ai_cloudflare_token_file != null)])
    error_message = "ai_cloudflare_token_file (host ${join(", ", [for name, host in var.ai_hosts : name if !(((host.ai_tls == null ? var.ai_tls : host.ai_tls) != "letsencrypt" || (host.ai_cloudflare_token_file == null ? var.ai_cloudflare_token_file : host.ai_cloudflare_token_file) != null) && ((host.ai_dns == null ? var.ai_dns : host.ai_dns) != "cloudflare_record" || var.ai_cloudflare_token_file != null))])}): Let's Encrypt proves the domain by a record at Cloudflare (ai_tls), and the host's own record is made there with the one token of this run (ai_dns). Give the path of a file with a Cloudflare API token (permissions Zone:Read and DNS:Edit)."
  }
}

variable "ai_dns_propagation_s" {
  description = "How long certbot waits for the DNS record of its challenge to be seen."
  type        = number
  default     = 30
  nullable    = false

  # form
  validation {
    condition     = floor(var.ai_dns_propagation_s) == var.ai_dns_propagation_s && var.ai_dns_propagation_s >= 0 && var.ai_dns_propagation_s <= 3600
    error_message = "ai_dns_propagation_s: give 0 to 3600 seconds."
  }
}

# --- Who may reach it

variable "ai_allowed_networks" {
  description = "Networks that may reach ports 80 and 443; \"any\" opens the host to the internet."
  type        = list(string)
  default     = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10"]
  nullable    = false

  # form
  validation {
    condition     = length(var.ai_allowed_networks) > 0 && (join(",", var.ai_allowed_networks) == "any" || alltrue([for each in var.ai_allowed_networks : strcontains(each, "/") ? try(cidrhost(each, 0) == cidrhost("${split("/", each)[0]}/${(strcontains(each, ":") ? 128 : 32)}", 0), false) : can(cidrhost("${split("/", each)[0]}/${(strcontains(each, ":") ? 128 : 32)}", 0))]))
    error_message = "ai_allowed_networks: give a list of networks, as 192.168.20.0/24, or \"any\"."
  }

  # open_in_the_clear
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : (host.ai_tls == null ? var.ai_tls : host.ai_tls) != "off" || !contains((host.ai_allowed_networks == null ? var.ai_allowed_networks : host.ai_allowed_networks), "any")])
    error_message = "ai_allowed_networks (host ${join(", ", [for name, host in var.ai_hosts : name if !((host.ai_tls == null ? var.ai_tls : host.ai_tls) != "off" || !contains((host.ai_allowed_networks == null ? var.ai_allowed_networks : host.ai_allowed_networks), "any"))])}): it is \"any\" while ai_tls is \"off\": keys and recordings would cross the internet in the clear. Name your own networks, or use a certificate."
  }

  # nobody
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : (host.ai_machine == null ? var.ai_machine : host.ai_machine) != "digitalocean_vm" || length(setsubtract((host.ai_allowed_networks == null ? var.ai_allowed_networks : host.ai_allowed_networks), ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10"])) > 0])
    error_message = "ai_allowed_networks (host ${join(", ", [for name, host in var.ai_hosts : name if !((host.ai_machine == null ? var.ai_machine : host.ai_machine) != "digitalocean_vm" || length(setsubtract((host.ai_allowed_networks == null ? var.ai_allowed_networks : host.ai_allowed_networks), ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10"])) > 0)])}): only private networks may reach the host, and a droplet has a public address. Name the networks that you call from, as 203.0.113.0/24; \"any\" opens it to the internet."
  }
}

variable "ai_firewall" {
  description = "Whether the host's own firewall enforces that; off leaves the firewall to you."
  type        = string
  default     = "on"
  nullable    = false

  # form
  validation {
    condition     = contains(["on", "off"], var.ai_firewall)
    error_message = "ai_firewall: give on or off."
  }
}

variable "ai_extra_ca_file" {
  description = "CA certificate that host and containers trust besides the public ones: a proxy that re-signs TLS."
  type        = string
  default     = null

  # form
  validation {
    condition     = var.ai_extra_ca_file == null ? true : try(fileexists(pathexpand(var.ai_extra_ca_file)) && strcontains(file(pathexpand(var.ai_extra_ca_file)), "-----BEGIN CERTIFICATE"), false)
    error_message = "ai_extra_ca_file: give the path of a file on this machine with a CA certificate (PEM)."
  }
}

# --- Images

variable "ai_github_owner" {
  description = "GitHub user or organisation whose images are deployed. Needed unless both image names are given."
  type        = string
  default     = null

  # form
  validation {
    condition     = var.ai_github_owner == null ? true : can(regex("^(?:[A-Za-z0-9](?:-?[A-Za-z0-9]){0,38})$", var.ai_github_owner))
    error_message = "ai_github_owner: give a GitHub user or organisation, as octo-org."
  }

  # needed
  validation {
    condition     = alltrue([for host in values(var.ai_hosts) : ((host.ai_gateway_image == null ? var.ai_gateway_image : host.ai_gateway_image) != null && (host.ai_whisper_api_image == null ? var.ai_whisper_api_image : host.ai_whisper_api_image) != null) || (host.ai_github_owner == null ? var.ai_github_owner : host.ai_github_owner) != null])
    error_message = "ai_github_owner (host ${join(", ", [for name, host in var.ai_hosts : name if !(((host.ai_gateway_image == null ? var.ai_gateway_image : host.ai_gateway_image) != null && (host.ai_whisper_api_image == null ? var.ai_whisper_api_image : host.ai_whisper_api_image) != null) || (host.ai_github_owner == null ? var.ai_github_owner : host.ai_github_owner) != null)])}): the images are named after it. Give a GitHub user or organisation, as octo-org."
  }
}

variable "ai_ghcr_token" {
  description = "GitHub token with read:packages, for private images; better in a file."
  type        = string
  default     = null
  sensitive   = true
  ephemeral   = true

  # form
  validation {
    condition     = var.ai_ghcr_token == null ? true : can(regex("^(?:[\\x21-\\x7e]{8,1000})$", var.ai_ghcr_token))
    error_message = "ai_ghcr_token: give a token, as ghp_…."
  }

  # twice
  validation {
    condition     = var.ai_ghcr_token == null || alltrue([for host in values(var.ai_hosts) : (host.ai_ghcr_token_file == null ? var.ai_ghcr_token_file : host.ai_ghcr_token_file) == null])
    error_message = "ai_ghcr_token: it is given, and ai_ghcr_token_file too. Keep the file."
  }
}

variable "ai_ghcr_token_file" {
  description = "File with that token; none: the images are public."
  type        = string
  default     = null

  # form
  validation {
    condition     = var.ai_ghcr_token_file == null ? true : try(fileexists(pathexpand(var.ai_ghcr_token_file)) && length(trimspace(file(pathexpand(var.ai_ghcr_token_file)))) > 0, false)
    error_message = "ai_ghcr_token_file: give the path of a file on this machine with a GitHub token (permission read:packages)."
  }
}

variable "ai_registry" {
  description = "Registry of our images."
  type        = string
  default     = "ghcr.io"
  nullable    = false

  # form
  validation {
    condition     = can(regex("^(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::\\d{1,5})?)$", var.ai_registry))
    error_message = "ai_registry: give a registry's host name, as ghcr.io."
  }
}

variable "ai_version" {
  description = "Version (tag) of our images."
  type        = string
  default     = "0.2.0"
  nullable    = false

  # form
  validation {
    condition     = can(regex("^(?:[A-Za-z0-9_][A-Za-z0-9_.-]{0,99})$", var.ai_version))
    error_message = "ai_version: give a version, as 0.2.0."
  }
}

variable "ai_gateway_image" {
  description = "Another gateway image than ai_registry/ai_github_owner/gateway:ai_version."
  type        = string
  default     = null

  # form
  validation {
    condition     = var.ai_gateway_image == null ? true : can(regex("^(?:[a-z0-9.-]+(?::\\d+)?(?:/[a-z0-9._-]+)+(?::[\\w.-]{1,128})?(?:@sha256:[0-9a-f]{64})?)$", var.ai_gateway_image)) && can(regex("^(?:.*[0-9A-Za-z_])$", var.ai_gateway_image))
    error_message = "ai_gateway_image: give an image's full name with a tag or digest, as ghcr.io/owner/gateway:1.0.0."
  }
}

variable "ai_whisper_api_image" {
  description = "Another whisper-api image; by itself the host chooses between the CPU and the CUDA variant."
  type        = string
  default     = null

  # form
  validation {
    condition     = var.ai_whisper_api_image == null ? true : can(regex("^(?:[a-z0-9.-]+(?::\\d+)?(?:/[a-z0-9._-]+)+(?::[\\w.-]{1,128})?(?:@sha256:[0-9a-f]{64})?)$", var.ai_whisper_api_image)) && can(regex("^(?:.*[0-9A-Za-z_])$", var.ai_whisper_api_image))
    error_message = "ai_whisper_api_image: give an image's full name with a tag or digest, as ghcr.io/owner/gateway:1.0.0."
  }
}

variable "ai_ollama_image" {
  description = "Image of Ollama."
  type        = string
  default     = "docker.io/ollama/ollama:0.24.0"
  nullable    = false

  # form
  validation {
    condition     = can(regex("^(?:[a-z0-9.-]+(?::\\d+)?(?:/[a-z0-9._-]+)+(?::[\\w.-]{1,128})?(?:@sha256:[0-9a-f]{64})?)$", var.ai_ollama_image)) && can(regex("^(?:.*[0-9A-Za-z_])$", var.ai_ollama_image))
    error_message = "ai_ollama_image: give an image's full name with a tag or digest, as docker.io/ollama/ollama:0.24.0."
  }
}

variable "ai_refresh_images" {
  description = "Ask the registries anew what each tag means; else a tag keeps the image it had when it was first taken."
  type        = bool
  default     = false
  nullable    = false
}

# --- GPU and machine

variable "ai_accelerator" {
  description = "Run on the NVIDIA GPU, on the CPU, or on a GPU if a supported one is there."
  type        = string
  default     = "auto"
  nullable    = false

  # form
  validation {
    condition     = contains(["auto", "nvidia", "cpu"], var.ai_accelerator)
    error_message = "ai_accelerator: give auto, nvidia or cpu."
  }
}

variable "ai_driver_branch" {
  description = "Branch of the NVIDIA driver; auto takes the one that fits the card."
  type        = string
  default     = "auto"
  nullable    = false

  # form
  validation {
    condition     = var.ai_driver_branch == "auto" || floor(try(tonumber(var.ai_driver_branch), 0)) == try(tonumber(var.ai_driver_branch), 0) && try(tonumber(var.ai_driver_branch), 0) >= 450 && try(tonumber(var.ai_driver_branch), 0) <= 999
    error_message = "ai_driver_branch: give auto or the branch's number (450 to 999), as 580."
  }
}

variable "ai_driver_source" {
  description = "Where the driver comes from; none: it is installed and kept by you."
  type        = string
  default     = "auto"
  nullable    = false

  # form
  validation {
    condition     = contains(["auto", "nvidia", "distribution", "none"], var.ai_driver_source)
    error_message = "ai_driver_source: give auto, nvidia, distribution or none."
  }
}

variable "ai_container_toolkit_version" {
  description = "Version of the NVIDIA container toolkit; 1.17.8 is the oldest without known holes."
  type        = string
  default     = "1.18.1-1"
  nullable    = false

  # form
  validation {
    condition     = can(regex("^(?:1\\.(?:17\\.(?:[89]|\\d{2,})|1[89]\\.\\d+|[2-9]\\d\\.\\d+)-\\d+)$", var.ai_container_toolkit_version))
    error_message = "ai_container_toolkit_version: give a package version of at least 1.17.8, as 1.18.1-1."
  }
}

variable "ai_gpu_mode" {
  description = "How containers get the GPU: by CDI or by Docker's device reservation."
  type        = string
  default     = "auto"
  nullable    = false

  # form
  validation {
    condition     = contains(["auto", "cdi", "reservation"], var.ai_gpu_mode)
    error_message = "ai_gpu_mode: give auto, cdi or reservation."
  }
}

variable "ai_reboot" {
  description = "Whether the host may be rebooted when the loaded driver demands it; auto: a remote host may, the machine that the command runs on may not."
  type        = string
  default     = "auto"
  nullable    = false

  # form
  validation {
    condition     = contains(["auto", "allowed", "never"], var.ai_reboot)
    error_message = "ai_reboot: give auto, allowed or never."
  }
}

variable "ai_docker_source" {
  description = "Docker from the distribution where that is recent enough, else from Docker's own repository."
  type        = string
  default     = "auto"
  nullable    = false

  # form
  validation {
    condition     = contains(["auto", "distribution", "docker"], var.ai_docker_source)
    error_message = "ai_docker_source: give auto, distribution or docker."
  }
}

variable "ai_repository_fingerprints" {
  description = "Keys that may sign package repositories besides Docker's and NVIDIA's own: those of a mirror that signs anew."
  type        = list(string)
  default     = []
  nullable    = false

  # form
  validation {
    condition     = alltrue([for each in var.ai_repository_fingerprints : can(regex("^(?:[0-9A-Fa-f]{40})$", each))])
    error_message = "ai_repository_fingerprints: give a list; each: a key's fingerprint of 40 hex digits, as 9DC8…D88."
  }
}

# --- Models and keys

variable "ai_whisper_model" {
  description = "Speech model: a name that faster-whisper knows, or a Hugging Face id."
  type        = string
  default     = "large-v3-turbo"
  nullable    = false

  # form
  validation {
    condition     = can(regex("^(?:[A-Za-z0-9][A-Za-z0-9._/-]*)$", var.ai_whisper_model))
    error_message = "ai_whisper_model: give a model's name, as large-v3-turbo."
  }
}

variable "ai_whisper_compute_type" {
  description = "Number format of the speech model; auto takes what the card can."
  type        = string
  default     = "auto"
  nullable    = false

  # form
  validation {
    condition     = contains(["auto", "int8", "int8_float32", "int8_float16", "int8_bfloat16", "int16", "float16", "bfloat16", "float32"], var.ai_whisper_compute_type)
    error_message = "ai_whisper_compute_type: give auto, int8, int8_float32, int8_float16, int8_bfloat16, int16, float16, bfloat16 or float32."
  }
}

variable "ai_whisper_unload_after_s" {
  description = "Give the speech model's memory back after this idle time; 0: at once; none: never."
  type        = number
  default     = null

  # form
  validation {
    condition     = var.ai_whisper_unload_after_s == null ? true : floor(var.ai_whisper_unload_after_s) == var.ai_whisper_unload_after_s && var.ai_whisper_unload_after_s >= 0 && var.ai_whisper_unload_after_s <= 2592000
    error_message = "ai_whisper_unload_after_s: give 0 to 2592000 seconds."
  }
}

variable "ai_ollama_model" {
  description = "Language model that is pulled and proven; any of Ollama's library."
  type        = string
  default     = "qwen2.5:3b"
  nullable    = false

  # form
  validation {
    condition     = can(regex("^(?:[A-Za-z0-9][A-Za-z0-9._/-]*(?::[A-Za-z0-9._-]+)?)$", var.ai_ollama_model))
    error_message = "ai_ollama_model: give a model's name, as qwen2.5:3b."
  }
}

variable "ai_ollama_extra_models" {
  description = "Further models to pull."
  type        = list(string)
  default     = []
  nullable    = false

  # form
  validation {
    condition     = alltrue([for each in var.ai_ollama_extra_models : can(regex("^(?:[A-Za-z0-9][A-Za-z0-9._/-]*(?::[A-Za-z0-9._-]+)?)$", each))])
    error_message = "ai_ollama_extra_models: give a list; each: a model's name, as qwen2.5:3b."
  }
}

variable "ai_huggingface_endpoint" {
  description = "A mirror of Hugging Face."
  type        = string
  default     = null

  # form
  validation {
    condition     = var.ai_huggingface_endpoint == null ? true : can(regex("^(?:(?:https|http)://[^ /?#]+[^ ]*)$", var.ai_huggingface_endpoint))
    error_message = "ai_huggingface_endpoint: give an address that begins with https:// or http://."
  }
}

variable "ai_huggingface_token_file" {
  description = "File with a Hugging Face token, for models that ask for one."
  type        = string
  default     = null

  # form
  validation {
    condition     = var.ai_huggingface_token_file == null ? true : try(fileexists(pathexpand(var.ai_huggingface_token_file)) && length(trimspace(file(pathexpand(var.ai_huggingface_token_file)))) > 0, false)
    error_message = "ai_huggingface_token_file: give the path of a file on this machine with a Hugging Face token."
  }
}

variable "ai_api_keys_file" {
  description = "File with the API keys that the host accepts; none: one is made on the host."
  type        = string
  default     = null

  # form
  validation {
    condition     = var.ai_api_keys_file == null ? true : try(fileexists(pathexpand(var.ai_api_keys_file)) && length(trimspace(file(pathexpand(var.ai_api_keys_file)))) > 0, false)
    error_message = "ai_api_keys_file: give the path of a file on this machine with the accepted keys, one a line."
  }
}

# --- Limits

variable "ai_max_upload_mib" {
  description = "Largest recording, in MiB; nginx, gateway and whisper-api all keep to it."
  type        = number
  default     = 1024
  nullable    = false

  # form
  validation {
    condition     = floor(var.ai_max_upload_mib) == var.ai_max_upload_mib && var.ai_max_upload_mib >= 1 && var.ai_max_upload_mib <= 1048576
    error_message = "ai_max_upload_mib: give 1 to 1048576 MiB."
  }
}

variable "ai_max_json_mib" {
  description = "Largest JSON body, in MiB."
  type        = number
  default     = 32
  nullable    = false

  # form
  validation {
    condition     = floor(var.ai_max_json_mib) == var.ai_max_json_mib && var.ai_max_json_mib >= 1 && var.ai_max_json_mib <= 1024
    error_message = "ai_max_json_mib: give 1 to 1024 MiB."
  }
}

variable "ai_max_task_queue_size" {
  description = "How many callers may wait for a transcription; one more gets 429."
  type        = number
  default     = 128
  nullable    = false

  # form
  validation {
    condition     = floor(var.ai_max_task_queue_size) == var.ai_max_task_queue_size && var.ai_max_task_queue_size >= 0 && var.ai_max_task_queue_size <= 100000
    error_message = "ai_max_task_queue_size: give 0 to 100000 callers."
  }
}

variable "ai_max_connections_per_address" {
  description = "Requests that one address may have under way at once; more get 429; 0: no limit."
  type        = number
  default     = 128
  nullable    = false

  # form
  validation {
    condition     = floor(var.ai_max_connections_per_address) == var.ai_max_connections_per_address && var.ai_max_connections_per_address >= 0 && var.ai_max_connections_per_address <= 100000
    error_message = "ai_max_connections_per_address: give 0 to 100000 requests (0: no limit)."
  }
}

variable "ai_max_requests_per_s_per_address" {
  description = "Requests a second from one address, twice as many in a burst; more get 429; 0: no limit."
  type        = number
  default     = 200
  nullable    = false

  # form
  validation {
    condition     = floor(var.ai_max_requests_per_s_per_address) == var.ai_max_requests_per_s_per_address && var.ai_max_requests_per_s_per_address >= 0 && var.ai_max_requests_per_s_per_address <= 100000
    error_message = "ai_max_requests_per_s_per_address: give 0 to 100000 requests a second (0: no limit)."
  }
}

variable "ai_upstream_connect_timeout_s" {
  description = "How long connecting to a service may take."
  type        = number
  default     = 5
  nullable    = false

  # form
  validation {
    condition     = floor(var.ai_upstream_connect_timeout_s) == var.ai_upstream_connect_timeout_s && var.ai_upstream_connect_timeout_s >= 1 && var.ai_upstream_connect_timeout_s <= 300
    error_message = "ai_upstream_connect_timeout_s: give 1 to 300 seconds."
  }
}

variable "ai_upstream_first_byte_timeout_s" {
  description = "How long a service may take to begin its answer."
  type        = number
  default     = 900
  nullable    = false

  # form
  validation {
    condition     = floor(var.ai_upstream_first_byte_timeout_s) == var.ai_upstream_first_byte_timeout_s && var.ai_upstream_first_byte_timeout_s >= 1 && var.ai_upstream_first_byte_timeout_s <= 86400
    error_message = "ai_upstream_first_byte_timeout_s: give 1 to 86400 seconds."
  }
}

variable "ai_upstream_idle_timeout_s" {
  description = "How long a service may pause within an answer."
  type        = number
  default     = 300
  nullable    = false

  # form
  validation {
    condition     = floor(var.ai_upstream_idle_timeout_s) == var.ai_upstream_idle_timeout_s && var.ai_upstream_idle_timeout_s >= 1 && var.ai_upstream_idle_timeout_s <= 86400
    error_message = "ai_upstream_idle_timeout_s: give 1 to 86400 seconds."
  }
}

variable "ai_gateway_memory_mib" {
  description = "Memory that the gateway's container may use; 0: no limit."
  type        = number
  default     = 1024
  nullable    = false

  # form
  validation {
    condition     = floor(var.ai_gateway_memory_mib) == var.ai_gateway_memory_mib && var.ai_gateway_memory_mib >= 0 && var.ai_gateway_memory_mib <= 4194304
    error_message = "ai_gateway_memory_mib: give 0 to 4194304 MiB (0: no limit)."
  }
}

variable "ai_whisper_api_memory_mib" {
  description = "Memory that whisper-api's container may use; 0: no limit."
  type        = number
  default     = 0
  nullable    = false

  # form
  validation {
    condition     = floor(var.ai_whisper_api_memory_mib) == var.ai_whisper_api_memory_mib && var.ai_whisper_api_memory_mib >= 0 && var.ai_whisper_api_memory_mib <= 4194304
    error_message = "ai_whisper_api_memory_mib: give 0 to 4194304 MiB (0: no limit)."
  }
}

variable "ai_ollama_memory_mib" {
  description = "Memory that Ollama's container may use; 0: no limit."
  type        = number
  default     = 0
  nullable    = false

  # form
  validation {
    condition     = floor(var.ai_ollama_memory_mib) == var.ai_ollama_memory_mib && var.ai_ollama_memory_mib >= 0 && var.ai_ollama_memory_mib <= 4194304
    error_message = "ai_ollama_memory_mib: give 0 to 4194304 MiB (0: no limit)."
  }
}

variable "ai_pids_limit" {
  description = "Processes and threads that one container may have."
  type        = number
  default     = 512
  nullable    = false

  # form
  validation {
    condition     = floor(var.ai_pids_limit) == var.ai_pids_limit && var.ai_pids_limit >= 64 && var.ai_pids_limit <= 1048576
    error_message = "ai_pids_limit: give 64 to 1048576 processes."
  }
}

# --- Monitoring

variable "ai_profiles" {
  description = "Parts that not everybody wants: monitoring (Prometheus, Grafana and exporters)."
  type        = list(string)
  default     = []
  nullable    = false

  # form
  validation {
    condition     = alltrue([for each in var.ai_profiles : contains(["monitoring"], each)])
    error_message = "ai_profiles: give a list; each: monitoring."
  }
}

variable "ai_grafana_port" {
  description = "Port of Grafana on the host's own 127.0.0.1; reach it through SSH."
  type        = number
  default     = 3000
  nullable    = false

  # form
  validation {
    condition     = floor(var.ai_grafana_port) == var.ai_grafana_port && var.ai_grafana_port >= 1024 && var.ai_grafana_port <= 65535
    error_message = "ai_grafana_port: give 1024 to 65535."
  }
}

variable "ai_prometheus_image" {
  description = "Image of Prometheus."
  type        = string
  default     = "docker.io/prom/prometheus:v3.5.0"
  nullable    = false

  # form
  validation {
    condition     = can(regex("^(?:[a-z0-9.-]+(?::\\d+)?(?:/[a-z0-9._-]+)+(?::[\\w.-]{1,128})?(?:@sha256:[0-9a-f]{64})?)$", var.ai_prometheus_image)) && can(regex("^(?:.*[0-9A-Za-z_])$", var.ai_prometheus_image))
    error_message = "ai_prometheus_image: give an image's full name with a tag or digest, as docker.io/ollama/ollama:0.24.0."
  }
}

variable "ai_grafana_image" {
  description = "Image of Grafana."
  type        = string
  default     = "docker.io/grafana/grafana:12.1.1"
  nullable    = false

  # form
  validation {
    condition     = can(regex("^(?:[a-z0-9.-]+(?::\\d+)?(?:/[a-z0-9._-]+)+(?::[\\w.-]{1,128})?(?:@sha256:[0-9a-f]{64})?)$", var.ai_grafana_image)) && can(regex("^(?:.*[0-9A-Za-z_])$", var.ai_grafana_image))
    error_message = "ai_grafana_image: give an image's full name with a tag or digest, as docker.io/ollama/ollama:0.24.0."
  }
}

variable "ai_node_exporter_image" {
  description = "Image of the machine's exporter."
  type        = string
  default     = "docker.io/prom/node-exporter:v1.9.1"
  nullable    = false

  # form
  validation {
    condition     = can(regex("^(?:[a-z0-9.-]+(?::\\d+)?(?:/[a-z0-9._-]+)+(?::[\\w.-]{1,128})?(?:@sha256:[0-9a-f]{64})?)$", var.ai_node_exporter_image)) && can(regex("^(?:.*[0-9A-Za-z_])$", var.ai_node_exporter_image))
    error_message = "ai_node_exporter_image: give an image's full name with a tag or digest, as docker.io/ollama/ollama:0.24.0."
  }
}

variable "ai_gpu_exporter_image" {
  description = "Image of the GPU's exporter."
  type        = string
  default     = "docker.io/utkuozdemir/nvidia_gpu_exporter:1.3.1"
  nullable    = false

  # form
  validation {
    condition     = can(regex("^(?:[a-z0-9.-]+(?::\\d+)?(?:/[a-z0-9._-]+)+(?::[\\w.-]{1,128})?(?:@sha256:[0-9a-f]{64})?)$", var.ai_gpu_exporter_image)) && can(regex("^(?:.*[0-9A-Za-z_])$", var.ai_gpu_exporter_image))
    error_message = "ai_gpu_exporter_image: give an image's full name with a tag or digest, as docker.io/ollama/ollama:0.24.0."
  }
}

# --- An old API that stays

variable "ai_old_api" {
  description = "Speech APIs of before a migration whose routes go on answering; ./ai migrate fills this in."
  type        = list(string)
  default     = []
  nullable    = false

  # form
  validation {
    condition     = alltrue([for each in var.ai_old_api : contains(["asr", "speaches", "whisper_api", "seed"], each)])
    error_message = "ai_old_api: give a list; each: asr, speaches, whisper_api or seed."
  }
}

variable "ai_old_api_keyless" {
  description = "Whether exactly those routes answer without a key, as they did before."
  type        = bool
  default     = false
  nullable    = false
}

variable "ai_old_api_listeners" {
  description = "Doors of before, at which nginx answers those routes and nothing else."
  type        = list(string)
  default     = []
  nullable    = false

  # form
  validation {
    condition     = alltrue([for each in var.ai_old_api_listeners : can(regex("^(?:[1-9][0-9]{0,4}(?: (?:_|(?:\\*\\.)?[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?))*(?: certificate=/[A-Za-z0-9._/@+-]+ key=/[A-Za-z0-9._/@+-]+)?)$", each))])
    error_message = "ai_old_api_listeners: give a list; each: a port, then the names it answers to, then certificate=/path key=/path if it speaks TLS, as 443 whisper.example.com certificate=/etc/ssl/w.pem key=/etc/ssl/w.key."
  }
}

variable "ai_old_api_url" {
  description = "Where the old service answers until ours has taken over, seen from the gateway's container."
  type        = string
  default     = null

  # form
  validation {
    condition     = var.ai_old_api_url == null ? true : can(regex("^(?:(?:http)://[^ /?#]+[^ ]*)$", var.ai_old_api_url))
    error_message = "ai_old_api_url: give an address that begins with http://."
  }
}

# --- Backups

variable "ai_backup_recipients" {
  description = "Who can open the backups that the host makes by itself; while nobody can, it makes none."
  type        = list(string)
  default     = []
  nullable    = false

  # form
  validation {
    condition     = alltrue([for each in var.ai_backup_recipients : can(regex("^(?:age1[0-9a-z]{58}|ssh-ed25519 [A-Za-z0-9+/]{68})$", each))])
    error_message = "ai_backup_recipients: give a list; each: a public key of age, or an ssh-ed25519 one without its comment, as age1…."
  }
}

variable "ai_backup_to" {
  description = "Where the host keeps them; another disk or another machine is better."
  type        = string
  default     = "/var/backups/ai-services"
  nullable    = false

  # form
  validation {
    condition     = can(regex("^(?:(?:/+\\.?[A-Za-z0-9_-][A-Za-z0-9._-]*)+|s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](?:/[A-Za-z0-9._=/-]*)?)$", var.ai_backup_to))
    error_message = "ai_backup_to: give a directory of the host, or s3://BUCKET/PREFIX, as /var/backups/ai-services."
  }
}

variable "ai_backup_at" {
  description = "When it makes them, by its own clock; a moment that was missed is made up for."
  type        = string
  default     = "*-*-* 03:30:00"
  nullable    = false

  # form
  validation {
    condition     = can(regex("^(?:[A-Za-z0-9*][A-Za-z0-9*:,./~ -]{0,60})$", var.ai_backup_at))
    error_message = "ai_backup_at: give a time as systemd's OnCalendar takes it, as *-*-* 03:30:00."
  }
}

variable "ai_backup_keep" {
  description = "How many of them stay; the oldest go."
  type        = number
  default     = 14
  nullable    = false

  # form
  validation {
    condition     = floor(var.ai_backup_keep) == var.ai_backup_keep && var.ai_backup_keep >= 0 && var.ai_backup_keep <= 100000
    error_message = "ai_backup_keep: give 0 to 100000 backups (0: all)."
  }
}

variable "ai_backup_s3_endpoint" {
  description = "Address of an S3-compatible store that is not Amazon's."
  type        = string
  default     = null

  # form
  validation {
    condition     = var.ai_backup_s3_endpoint == null ? true : can(regex("^(?:(?:https|http)://[^ /?#]+[^ ]*)$", var.ai_backup_s3_endpoint))
    error_message = "ai_backup_s3_endpoint: give an address that begins with https:// or http://."
  }
}

variable "ai_backup_s3_credentials_file" {
  description = "File with the key to that store, as AWS's tools keep it; region may stand in it."
  type        = string
  default     = null

  # form
  validation {
    condition     = var.ai_backup_s3_credentials_file == null ? true : try(fileexists(pathexpand(var.ai_backup_s3_credentials_file)) && strcontains(file(pathexpand(var.ai_backup_s3_credentials_file)), "aws_secret_access_key"), false)
    error_message = "ai_backup_s3_credentials_file: give the path of a file on this machine with credentials as AWS's tools keep them."
  }
}

# --- Removal

variable "ai_keep_data" {
  description = "Whether removing the host keeps models and API keys."
  type        = bool
  default     = true
  nullable    = false
}
