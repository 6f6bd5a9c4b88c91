// SPDX-License-Identifier: GPL-2.0
/*
 * I2C adapter 1, like a Raspberry Pi's, with one AMG8833 on it.
 *
 * Userspace is the chip's silicon: it writes the registers (/sys/devices/platform/lrt_i2c.0/registers, 256 bytes) when
 * the sensor would have made a frame. A read takes the time it takes on copper, and holds no lock between its bytes:
 * one that meets an update gets bytes of both frames, as with the real chip.
 *
 * /sys/module/lrt_i2c/parameters:
 *   byte_us    time of one byte on the wire: 23 is 400 kHz
 *   nack, eio  so many of the next messages fail: not acknowledged (EREMOTEIO, as i2c-bcm2835 says it), or EIO
 *   unplugged  the sensor is gone from the bus, the bus is not
 *   messages   counts what was asked for, faults included
 */
#include <linux/delay.h>
#include <linux/i2c.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/spinlock.h>
#include <linux/sysfs.h>

#define ADDRESS 0x69
#define BURST 32 /* bytes between two sleeps; with 8, sleeping was more than half of what an emulated rig cost */

static int byte_us = 23, nack, eio, unplugged, messages;
module_param(byte_us, int, 0644);
module_param(nack, int, 0644);
module_param(eio, int, 0644);
module_param(unplugged, int, 0644);
module_param(messages, int, 0444);

static u8 registers[256];
static u8 pointer;
static DEFINE_SPINLOCK(chip);

static void pass_time(int bytes)
{
	if (byte_us > 0)
		usleep_range(bytes * byte_us, bytes * byte_us + 20);
}

/* What a write does, where it is not simply kept; under the lock. */
static void take(u8 at, u8 value)
{
	if (at >= 0x80 || at == 0x0e || at == 0x0f)
		return; /* pixels and thermistor are read only */
	switch (at) {
	case 0x01: /* RST: 0x3f all of it, 0x30 the flags */
		if (value == 0x3f) {
			u8 power = registers[0];

			memset(registers, 0, 0x0e);
			memset(registers + 0x10, 0, 0x70);
			registers[0] = power;
		}
		registers[0x04] = 0;
		break;
	case 0x05: /* SCLR clears bits of STAT */
		registers[0x04] &= ~value;
		break;
	case 0x07: /* AVE reads as 0 */
		break;
	default:
		registers[at] = value;
	}
}

static int transfer(struct i2c_adapter *adapter, struct i2c_msg *all, int count)
{
	for (int i = 0; i < count; i++) {
		struct i2c_msg *one = &all[i];
		int done = 0;

		messages++;
		pass_time(1);
		if (one->addr != ADDRESS || unplugged)
			return -EREMOTEIO;
		if (nack > 0) {
			nack--;
			return -EREMOTEIO;
		}
		if (eio > 0) {
			eio--;
			return -EIO;
		}
		while (done < one->len) {
			int burst = min_t(int, BURST, one->len - done);

			spin_lock(&chip);
			for (int n = 0; n < burst; n++, done++) {
				if (one->flags & I2C_M_RD)
					one->buf[done] = registers[pointer++];
				else if (!done)
					pointer = one->buf[0];
				else
					take(pointer++, one->buf[done]);
			}
			spin_unlock(&chip);
			pass_time(burst);
		}
	}
	return count;
}

static u32 functionality(struct i2c_adapter *adapter)
{
	return I2C_FUNC_I2C | I2C_FUNC_SMBUS_EMUL;
}

static const struct i2c_algorithm algorithm = { .master_xfer = transfer, .functionality = functionality };
static struct i2c_adapter adapter = { .owner = THIS_MODULE, .algo = &algorithm, .name = "lrt test bus", .nr = 1 };

static ssize_t registers_read(struct file *file, struct kobject *object, struct bin_attribute *attribute, char *to,
			      loff_t at, size_t length)
{
	spin_lock(&chip);
	memcpy(to, registers + at, length);
	spin_unlock(&chip);
	return length;
}

static ssize_t registers_write(struct file *file, struct kobject *object, struct bin_attribute *attribute, char *from,
			       loff_t at, size_t length)
{
	spin_lock(&chip);
	memcpy(registers + at, from, length);
	spin_unlock(&chip);
	return length;
}

static BIN_ATTR_RW(registers, sizeof(registers));
static struct platform_device *device;

static int __init lrt_i2c_init(void)
{
	int error;

	device = platform_device_register_simple("lrt_i2c", 0, NULL, 0);
	if (IS_ERR(device))
		return PTR_ERR(device);
	adapter.dev.parent = &device->dev;
	error = i2c_add_numbered_adapter(&adapter);
	if (!error) {
		error = device_create_bin_file(&device->dev, &bin_attr_registers);
		if (error)
			i2c_del_adapter(&adapter);
	}
	if (error)
		platform_device_unregister(device);
	return error;
}

static void __exit lrt_i2c_exit(void)
{
	device_remove_bin_file(&device->dev, &bin_attr_registers);
	i2c_del_adapter(&adapter);
	platform_device_unregister(device);
}

module_init(lrt_i2c_init);
module_exit(lrt_i2c_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("An AMG8833 on I2C bus 1, its frames made in userspace");
