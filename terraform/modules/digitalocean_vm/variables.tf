variable "name" {
  description = "Short name of the host; the droplet is called so."
  type        = string
  nullable    = false
}

variable "user" {
  description = "User who logs in to deploy; made on first boot, with sudo."
  type        = string
  nullable    = false
}

variable "public_key" {
  description = "Public SSH key that may log in as that user."
  type        = string
  nullable    = false
}

variable "ssh_key_file" {
  description = "Private key that belongs to it; none: what ssh finds by itself."
  type        = string
  default     = null
}

variable "wait_s" {
  description = "Seconds to wait for the first contact."
  type        = number
  default     = 600
  nullable    = false
}

variable "droplet" {
  description = "Region, size (those with a GPU begin with gpu-) and image."
  type = object({
    region = string
    size   = string
    image  = string
  })
  nullable = false
}
