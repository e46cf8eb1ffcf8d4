package qupath.lib.roi;

import java.io.Serializable;

public class PolygonROI extends AbstractPathROI implements Serializable {
    private static final long serialVersionUID = 1L;
    final float[] x, y;

    public PolygonROI(float[] x, float[] y) {
        this.x = x;
        this.y = y;
    }

    private Object writeReplace() {
        return new SerializationProxy(this);
    }

    private static class SerializationProxy implements Serializable {
        private static final long serialVersionUID = 1L;
        private final float[] x, y;
        private final String name = null;
        private final int c, z, t;
        private final ClosedShapeStatistics stats = new ClosedShapeStatistics();

        SerializationProxy(PolygonROI roi) {
            x = roi.x;
            y = roi.y;
            c = roi.c;
            z = roi.z;
            t = roi.t;
        }
    }
}
