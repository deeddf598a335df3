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
