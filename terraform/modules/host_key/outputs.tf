output "host_key" {
  description = "Public SSH key that the machine shows once contact.sh has been there."
  value       = terraform_data.host_key.output
}

output "folder" {
  description = "Folder with the files of the first boot, as long as they are needed: user-data, seed.iso."
  value       = terraform_data.keys.output.folder
}

output "contact" {
  description = "Command that gives the machine its lasting key, for a local-exec."
  value       = "sh ${path.module}/contact.sh"
}

output "id" {
  description = "Changes when the keys are made anew, and the machine with them."
  value       = terraform_data.keys.id
}
