package launch

import "strconv"

// Prices of this server are not AWS's. They follow from the size of an instance type, so that they
// are the same everywhere and larger types cost more.
const (
	microPerVCPU     = 33_000 // millionths of a US dollar an hour
	microPerGiB      = 3_750
	microPerBurstGiB = 10_400
	microPerAccelGiB = 25_000 // of accelerators' memory
	spotPercent      = 30
)

// OnDemandPrice is what an hour of an instance costs, in millionths of a US dollar: of burstable
// types by memory, of the others by vCPUs, memory and the memory of accelerators. It is near AWS's prices
// in us-east-1.
func OnDemandPrice(vcpu int32, memoryMiB, acceleratorMiB int64, burstable bool) int64 {
	if burstable {
		return memoryMiB * microPerBurstGiB / 1024
	}
	return int64(vcpu)*microPerVCPU + memoryMiB*microPerGiB/1024 + acceleratorMiB*microPerAccelGiB/1024
}

// SpotPrice is what an hour of a Spot Instance costs, given its [OnDemandPrice]. It never changes.
func SpotPrice(onDemand int64) int64 { return onDemand * spotPercent / 100 }

// Dollars is a price as decimal text: "0.0288".
func Dollars(micro int64) string { return strconv.FormatFloat(float64(micro)/1e6, 'f', -1, 64) }
