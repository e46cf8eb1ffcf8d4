package qupath.lib.roi;

import java.io.Serializable;

public class RectangleROI extends AbstractPathROI implements Serializable {
    private static final long serialVersionUID = 1L;
    final double x, y, x2, y2;

    public RectangleROI(double x, double y, double x2, double y2) {
        this.x = x;
        this.y = y;
        this.x2 = x2;
        this.y2 = y2;
    }

    private Object writeReplace() {
        return new SerializationProxy(this);
    }

    private static class SerializationProxy implements Serializable {
        private static final long serialVersionUID = 1L;
        private final double x, x2, y, y2;
        private final String name = null;
        private final int c, z, t;

        SerializationProxy(RectangleROI roi) {
            x = roi.x;
            x2 = roi.x2;
            y = roi.y;
            y2 = roi.y2;
            c = roi.c;
            z = roi.z;
            t = roi.t;
        }
    }
}
