variable "name" {
  description = "Short name of the host, for the files of this run."
  type        = string
  nullable    = false
}

variable "address" {
  description = "IP address of the host."
  type        = string
  nullable    = false
}

variable "user" {
  description = "User who logs in to deploy; root, or one with sudo."
  type        = string
  nullable    = false
}

variable "host_key" {
  description = "Public SSH key that the host must show, or its fingerprint."
  type        = string
  nullable    = false
}

variable "ssh_key_file" {
  description = "Private key to log in with; none: what ssh finds by itself."
  type        = string
  default     = null
}

variable "settings_json" {
  description = "Settings of the host by name, as JSON: what `ai destroy` is told when the host goes."
  type        = string
  nullable    = false
}
