variable "name" {
  description = "Short name of the host, for the files of this run."
  type        = string
  nullable    = false
}

variable "machine" {
  description = "Where the machine is (address), who logs in (user), and the key it must show (host_key)."
  type = object({
    address  = string
    user     = string
    host_key = string
  })
  nullable = false
}

variable "ssh_key_file" {
  description = "Private key to log in with; none: what ssh finds by itself."
  type        = string
  default     = null
}

variable "wait_s" {
  description = "Seconds to wait for the machine to answer on SSH with the expected key."
  type        = number
  default     = 600
  nullable    = false
}

variable "settings_json" {
  description = "Settings of the host by name, as JSON; files by their whole path."
  type        = string
  nullable    = false
}

variable "ghcr_token" {
  description = "GitHub token for private images; none: they are public, or ai_ghcr_token_file has it."
  type        = string
  default     = null
  sensitive   = true
  ephemeral   = true
}

variable "record" {
  description = "Name of the DNS record that must be there first; none: nobody waits for one."
  type        = string
  default     = null
}

variable "machine_id" {
  description = "Changes when the machine is another one, which is then deployed to anew."
  type        = string
  nullable    = false
}

variable "protected" {
  description = "Whether destroying the host, or making its machine anew, is refused."
  type        = bool
  default     = true
  nullable    = false
}
